// Addresses with a # as MLflow's client prints them ("/#/experiments/1/runs/…") lead to the pages of the same things.
(function () {
  "use strict";
  const known = /^#\/(experiments\/\d+|models)(\/|$|\?)/;
  const follow = () => { if (known.test(location.hash)) location.replace(location.hash.slice(1)); };
  follow();
  addEventListener("hashchange", follow);
})();

"""PyTorch: an optimizer's params are logged when it is made inside a run, and how often it stepped when the run ends.

A training loop is the user's own, so losses are logged by `run.log`; `run.model(name, module)` keeps the weights.
"""

from __future__ import annotations

import functools
from typing import Any

from loopline.usecases.tracking.autologging.patching import log_params, replace, tried
from loopline.usecases.tracking.client import current


def patch(torch: Any) -> None:
    """Watch optimizers being made."""
    replace(torch.optim.Optimizer, "__init__", made)


def made(original: Any) -> Any:
    """`Optimizer.__init__` that also logs."""

    @functools.wraps(original)
    def init(self: Any, params: Any, defaults: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, params, defaults, *args, **kwargs)
        tried(lambda: logged(self))
        return result

    return init


def logged(optimizer: Any) -> None:
    """Name and params of an optimizer, with the run whose block this is."""
    run = current()
    if run is None:
        return
    plain = {
        f"optimizer_{name}": value
        for name, value in optimizer.defaults.items()
        if isinstance(value, int | float | str | bool | tuple) or value is None
    }
    log_params(run, {"optimizer": type(optimizer).__name__, **plain})

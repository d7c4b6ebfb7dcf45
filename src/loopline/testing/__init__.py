"""How it is proven: contract suites, fakes and factories, shipped so that a third party can prove its own engine."""

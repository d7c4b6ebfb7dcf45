"""How good predictions are, from tallies. The modules import numpy (but `maturity`): import them where it is needed."""

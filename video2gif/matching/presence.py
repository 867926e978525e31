"""How likely a GIF is from a video at all. Written by `benchmarks/fit_presence.py`."""

BIAS = 2.533
PER_BIT = -0.667
PER_EXPLAINED = 12.0

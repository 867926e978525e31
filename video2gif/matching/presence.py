"""How likely a GIF is from a video at all. Written by `benchmarks/fit_presence.py`."""

BIAS = 0.039
PER_BIT = -0.454
PER_EXPLAINED = 9.885

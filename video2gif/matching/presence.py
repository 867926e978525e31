"""How likely a GIF is from a video at all. Written by `benchmarks/fit_presence.py`."""

BIAS = -0.381
PER_BIT = -0.765
PER_EXPLAINED = 8.473
PER_CORRELATION = 8.601

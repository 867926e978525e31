"""How likely a GIF is from a video at all. Written by `benchmarks/fit_presence.py`."""

BIAS = -0.295
PER_BIT = -0.571
PER_EXPLAINED = 6.466
PER_CORRELATION = 6.77

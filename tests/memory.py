"""How much memory a fresh process took, measured in that process itself."""

PEAK_BYTES = (
    "next(int(line.split()[1]) * 1024 for line in open('/proc/self/status')"
    " if line.startswith('VmHWM'))"
)
"""An expression for the child's code. Not `ru_maxrss`: it starts at the peak of whoever forked."""

"""A GIF of unknown source against every fingerprinted video: index, search, verification."""

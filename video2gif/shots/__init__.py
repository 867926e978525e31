"""Cut a video into shots and segments, from the numbers in its fingerprint."""

"""Names for the few values that all rooms hand to each other."""

from typing import Literal

Kind = Literal["video", "gif"]
"""What a file is taken for; what it is by content may differ."""

Span = tuple[int, int]
"""Frames [start, end), counted from 0 in the order in which they are shown."""

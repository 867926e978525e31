"""Learn from the GIFs people made which moments of a video deserve one, and make them."""

__version__ = "0.1.0"

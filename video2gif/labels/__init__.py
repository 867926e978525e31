"""From matches and segments to labels, splits and pairs."""

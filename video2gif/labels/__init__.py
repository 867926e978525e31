"""From matches and segments to labels, splits and pairs; near-duplicates; labels as hashes."""

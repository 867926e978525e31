"""One decode of a file, and what it leaves: a row of hashes and measures for each frame."""

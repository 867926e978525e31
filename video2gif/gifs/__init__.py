"""From the frames of a moment to a file: loop, size, byte budget, palette, encoder, receipt."""

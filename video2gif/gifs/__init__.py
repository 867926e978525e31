"""From the frames of a moment to a file: loop, shape, budget, palette, encoder, receipt."""

"""Where a GIF comes from: perceptual hashes and their alignment (pure numpy, no files)."""

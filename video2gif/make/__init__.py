"""From one video to its GIFs: fingerprint, cut into segments, rank, write the best ones.

The same items as the pipeline's stages (so a video that the pipeline has seen is not analysed
again), for files that stand in no manifest.
"""

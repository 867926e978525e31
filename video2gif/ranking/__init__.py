"""The ranker, its losses and context, baselines and metrics."""

"""Shots and segments from per-frame metrics (pure numpy, no files)."""

"""`python -m video2gif.sample > data/sample.csv` writes the manifest of the embedded corpus."""

import sys

from video2gif.sample import manifest_csv

sys.stdout.write(manifest_csv())

"""`python -m video2gif …`: the command line."""

import sys

from video2gif.cli.__main__ import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m fovea.training ...` is `fovea train ...`."""

import sys

from fovea.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))

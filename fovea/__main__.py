"""`python -m fovea ...` is `fovea ...`."""

import sys

from fovea.cli import main

if __name__ == "__main__":
    sys.exit(main())

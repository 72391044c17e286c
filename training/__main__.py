"""`python -m training ...` is `fovea train ...`."""

import sys

import fovea

sys.exit(fovea.main(["train", *sys.argv[1:]]))

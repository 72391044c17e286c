"""`python -m fovea.serving.server` runs the server with the flags given to it."""

import sys

from fovea.serving.server.main import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], program="python -m fovea.serving.server"))

"""``python -m fovea.serving.server``: run the server with the flags of the command line."""

import sys

from fovea.serving.server.main import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], program="python -m fovea.serving.server"))

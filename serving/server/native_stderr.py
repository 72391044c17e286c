"""Keep native libraries from writing to the terminal while they are imported."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def native_stderr_quiet() -> Iterator[None]:
    """Hold back what C++ code prints; show it if the block fails.

    TensorFlow greets with eight lines before it reads any setting that would stop it.
    Python's own ``sys.stderr`` is held back too. A crash still tells where it was.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, os.fdopen(os.dup(2), "wb") as stderr:
        watched = faulthandler.is_enabled()
        if not watched:
            faulthandler.enable(stderr)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            stderr.write(held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr.fileno(), 2)
            if not watched:
                faulthandler.disable()

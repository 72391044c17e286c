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
    """Capture what C++ code writes to stderr; show it only if the block fails.

    TensorFlow prints eight lines before it reads any setting that would prevent them.
    Python's own `sys.stderr` is captured too. A crash still shows where it happened.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as captured, os.fdopen(os.dup(2), "wb") as stderr:
        was_enabled = faulthandler.is_enabled()
        if not was_enabled:
            faulthandler.enable(stderr)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            stderr.write(captured.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr.fileno(), 2)
            if not was_enabled:
                faulthandler.disable()

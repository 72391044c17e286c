"""Find duplicated code: `make duplicates`.

pylint's `symilar` compares the files line by line, without comments, docstrings and
imports. Its exit code is always 0, so its output is parsed here.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# The folders themselves: fovea/models and so on are links to them.
FOLDERS = ("fovea", "models", "training", "serving", "benchmarks")
# Lines that two files may share; fewer are declarations of the same interface.
FEWEST_LINES = 13


def files() -> list[Path]:
    """Return the source files, each once, without generated ones."""
    return sorted(
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if not path.name.endswith("_pb2.py") and path == path.resolve()
    )


def main() -> int:
    sources = files()
    done = subprocess.run(
        [
            sys.executable,
            *("-c", "from pylint.checkers.symilar import Run; Run()"),
            f"--duplicates={FEWEST_LINES}",
            *("--ignore-comments", "--ignore-docstrings", "--ignore-imports"),
            *sources,
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    found = re.search(r"^TOTAL lines=\d+ duplicates=(\d+)", done.stdout, re.M)
    if not found:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        return 2
    if int(found[1]):
        print(done.stdout)
        return 1
    print(f"No {FEWEST_LINES} lines stand twice in {len(sources)} files.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

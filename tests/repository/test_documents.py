"""Paths and links in the documents exist."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOPS = "fovea|models|training|serving|benchmarks|deploy|docs|examples|tests"
# Files written by the commands that the text describes, or patterns.
MADE = re.compile(r"[*<>{}$A-Z]|^(serving|models)/mnist|^docs/_|^models/models\.config")


def _documents():
    listed = subprocess.run(
        ["git", "ls-files", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [each for each in listed.stdout.split() if each != "CHANGELOG.md"]


@pytest.mark.parametrize("document", _documents())
def test_the_paths_that_a_document_names_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    named = set(re.findall(rf"`((?:{TOPS})/[\w./-]*)`", text))
    missing = [
        path
        for path in sorted(named)
        if not MADE.search(path) and not (ROOT / path.rstrip("/")).exists()
    ]
    assert not missing, f"{document} names {', '.join(missing)}"


@pytest.mark.parametrize("document", _documents())
def test_the_targets_of_relative_links_exist(document):
    path = ROOT / document
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    missing = [
        target
        for target in targets
        if not re.match(r"https?:|mailto:|#", target)
        and not (path.parent / target.partition("#")[0]).exists()
    ]
    assert not missing, f"{document} links to {', '.join(missing)}"

"""The documentation site: it builds without warnings and loads no other host."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# Attributes whose address a browser fetches without a click.
FETCHED = {"src", "srcset", "poster", "data"}
FOREIGN = re.compile(r"^\s*(https?:)?//")
IN_CSS = re.compile(r"""(?:url\(|@import)\s*["']?(?:https?:)?//""")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(directory)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return directory


class Fetches(HTMLParser):
    """The addresses that a browser fetches for a page."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attributes):
        names = FETCHED | ({"href"} if tag in ("link", "image", "use") else set())
        if dict(attributes).get("rel") == "canonical":
            return
        self.addresses += [
            value for name, value in attributes if name in names and value
        ]


def pages(site):
    return sorted(site.rglob("*.html"))


def test_no_page_fetches_from_another_host(site):
    assert len(pages(site)) >= 15
    for page in pages(site):
        reader = Fetches()
        reader.feed(page.read_text())
        assert reader.addresses
        assert not [one for one in reader.addresses if FOREIGN.match(one)], page
        assert not IN_CSS.search(page.read_text()), page


def test_no_style_sheet_fetches_from_another_host(site):
    sheets = list(site.rglob("*.css"))
    assert sheets
    for sheet in sheets:
        assert not IN_CSS.search(sheet.read_text()), sheet


def test_public_names_are_in_the_reference(site):
    import fovea

    text = (site / "reference" / "client" / "index.html").read_text()
    for name in fovea.__all__:
        assert f'id="fovea.{name}"' in text, name


def test_every_flag_of_the_server_is_listed(site):
    import dataclasses

    from fovea.serving.server.flag_table import Flags

    text = (site / "reference" / "server-flags" / "index.html").read_text()
    for flag in dataclasses.fields(Flags):
        assert f"--{flag.name}<" in text, flag.name

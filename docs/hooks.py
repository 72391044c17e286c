"""Build steps of the site: pages that live elsewhere in the repository.

README.md, ARCHITECTURE.md and others are read on their own as well, so the site takes
them from where they are. Links in all pages are those of the repository; here they
become links of the site.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
import textwrap
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from fovea.serving.server.flag_table import WITHOUT_EFFECT, Flags

ROOT = Path(__file__).parents[1]
# Page of the site -> file of the repository.
INCLUDED = {
    "index.md": "README.md",
    "architecture.md": "ARCHITECTURE.md",
    "results.md": "benchmarks/RESULTS.md",
    "reference/server.md": "serving/server/README.md",
    "reference/rest.md": "serving/server/rest/README.md",
    "deployment-files.md": "deploy/README.md",
    "examples.md": "examples/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
}
PAGE_OF = {file: page for page, file in INCLUDED.items()}
LINK = re.compile(r"(\]\()([^)\s#:]+)([^)\s:]*\))")
FLAGS_HERE = "<!-- flags -->"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages whose source is outside docs/."""
    for page, file in INCLUDED.items():
        text = (ROOT / file).read_text(encoding="utf-8")
        if page == "examples.md":
            text = _with_programs(text)
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Translate links between files into links between pages, and list the flags."""
    here = page.file.src_uri
    source = INCLUDED.get(here, f"docs/{here}")

    def translate(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[2]))
        on_site = PAGE_OF.get(target, target.removeprefix("docs/"))
        relative = posixpath.relpath(on_site, posixpath.dirname(here) or ".")
        return f"{link[1]}{relative}{link[3]}"

    return LINK.sub(translate, markdown).replace(FLAGS_HERE, _flags())


def _with_programs(text: str) -> str:
    """Return the page of examples with the programs that it links to."""
    programs = re.findall(r"\]\((\w+\.py)\)", text)
    for program in programs:
        code = (ROOT / "examples" / program).read_text(encoding="utf-8")
        anchor = program.removesuffix(".py").replace("_", "-")
        text = text.replace(f"]({program})", f"](#{anchor})")
        text += f"\n## {program} {{ #{anchor} }}\n\n```python\n{code}```\n"
    return text


def _flags() -> str:
    """Return a table of the server's flags."""
    rows = ["| flag | default | meaning |", "|---|---|---|"]
    for flag in dataclasses.fields(Flags):
        kind = flag.metadata["type"]
        default = f"`{flag.default}`" if flag.default != "" else ""
        meaning = " ".join(textwrap.dedent(flag.metadata["help"]).split())
        meaning = meaning.replace("|", "\\|").replace("<", "&lt;")
        rows.append(f"| `--{flag.name}` {kind} | {default} | {meaning} |")
    ignored = ", ".join(f"`--{name}`" for name in sorted(WITHOUT_EFFECT))
    return "\n".join(
        [*rows, "", f"Accepted with a warning, without effect: {ignored}."]
    )

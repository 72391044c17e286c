"""Self-contained HTML pages: template, style and pictures in one file."""

import base64
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """Render a template as a page.

    Args:
        template: A file of templates/, which extends base.html.
        **values: The template's variables.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(values)


def inline(picture: Path) -> str:
    """Return a PNG file as a data URL for an <img>."""
    data = base64.b64encode(picture.read_bytes()).decode()
    return f"data:image/png;base64,{data}"

"""Pages that need nothing but themselves: templates, style and pictures in one file."""

import base64
from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values) -> str:
    """Return a page made of a template.

    Args:
        template: A file of templates/, which extends base.html.
        **values: What it names.
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
    """Return a PNG file as the source of an <img>."""
    data = base64.b64encode(picture.read_bytes()).decode()
    return f"data:image/png;base64,{data}"

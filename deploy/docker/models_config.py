"""Write models.config for the exported models below a directory, unless it has one.

    python3 deploy/docker/models_config.py exported

Each model's newest version is served, and has the label `stable`. The
file says where the models are in the container: below /models. Python alone is needed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

IN_CONTAINER = "/models"


def versions(model: Path) -> list[int]:
    """The version directories of a model, oldest first."""
    return sorted(
        int(child.name)
        for child in model.iterdir()
        if child.name.isdecimal() and (child / "saved_model.pb").is_file()
    )


def models_config(exported: Path) -> str:
    """A text ModelServerConfig for `exported/<model>/<version>/saved_model.pb`.

    Raises:
        ValueError: There is no model, or one's name is not a plain word.
    """
    newest = {
        model.name: numbers[-1]
        for model in sorted(exported.iterdir())
        if model.is_dir() and (numbers := versions(model))
    }
    if not newest:
        raise ValueError(
            "there must be a MODEL/VERSION/saved_model.pb, as fovea export RUN --to "
            f"exported/MODEL writes it. Received: {exported}"
        )
    for name in newest:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ValueError(
                "a model's name is letters, digits, '.', '_' and '-'. "
                f"Received: {name!r}"
            )
    entries = "".join(_entry(name, version) for name, version in newest.items())
    return f"model_config_list {{\n{entries}}}\n"


def _entry(name: str, version: int) -> str:
    return f"""\
  config {{
    name: "{name}"
    base_path: "{IN_CONTAINER}/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ specific {{ versions: {version} }} }}
    version_labels {{ key: "stable" value: {version} }}
  }}
"""


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} EXPORTED")
    exported = Path(sys.argv[1])
    file = exported / "models.config"
    if file.exists():
        print(f"{file} is there already, and stays as it is")
        return
    try:
        text = models_config(exported)
    except (ValueError, OSError) as error:
        sys.exit(f"models_config: error: {error}")
    file.write_text(text)
    print(f"wrote {file}:\n{text}", end="")


if __name__ == "__main__":
    main()

"""Parse the options of an architecture from a command line."""

import ast
from typing import Any


def parse_options(pairs: list[str]) -> dict[str, Any]:
    """Return the options in strings such as "dropout=0.5".

    A value that is a Python literal, true or false is converted; any other remains a
    string.

    Args:
        pairs: Strings of the form option=value.

    Raises:
        ValueError: If a string has no name or no "=", or if a name occurs twice.
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ValueError(
                "An option must be given as option=value, such as dropout=0.5. "
                f"Received: set={pair}"
            )
        if name.strip() in options:
            raise ValueError(f"An option can be set only once. Received: set={pair}")
        options[name.strip()] = _literal(value.strip())
    return options


def _literal(text: str) -> Any:
    """Return the value of a literal, or the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text

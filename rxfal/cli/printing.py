"""How results and other texts are written: for a program as they are, for a terminal without what would upset it."""

import json
import sys
from typing import Any

from .media import shortened

__all__ = ["harmless", "on_one_line", "on_terminal", "say", "write", "write_json"]

_CONTROLS = {code: "�" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""What a model must not send to a terminal: escape sequences can move the cursor, and do worse."""


def harmless(text: str) -> str:
    r"""The text without characters that a terminal would obey.

    Examples:
        >>> harmless("a\x1b[2Jb")
        'a�[2Jb'
    """
    return text.translate(_CONTROLS)


def on_one_line(text: str) -> str:
    r"""The text on one line, without characters that a terminal would obey.

    Examples:
        >>> on_one_line("two\n  lines\x1b[2J")
        'two lines�[2J'
    """
    return "".join(char if char.isprintable() else "�" for char in " ".join(text.split()))


def on_terminal() -> bool:
    """Whether the result goes to a terminal, and so to a person."""
    return sys.stdout.isatty()


def say(text: str) -> None:
    """Write a line for people to stderr."""
    sys.stderr.write(on_one_line(text) + "\n")


def write(content: str | bytes) -> None:
    """Write a part of the result to stdout, at once. A lone surrogate becomes the escape that it was in the JSON."""
    data = content if isinstance(content, bytes) else content.encode(sys.stdout.encoding, "backslashreplace")
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def write_json(value: Any) -> None:
    """Write a result as JSON: one line for a program; for a person indented, with the size of any long base64."""
    is_narrow = sys.stdout.encoding.lower() not in ("utf-8", "utf8")  # then JSON's own escapes are what is left
    if on_terminal():
        write(shortened(harmless(json.dumps(value, ensure_ascii=is_narrow, indent=2))) + "\n")
    else:
        write(json.dumps(value, ensure_ascii=is_narrow) + "\n")

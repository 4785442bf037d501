"""Owns how HTML and SVG are written: every text is escaped where it enters, so that nothing that a sweep says becomes markup."""

import html
import json
import re
from collections.abc import Iterable
from typing import Any

VOID = frozenset({"meta", "link", "br", "input", "hr", "circle", "line", "path", "polyline", "rect", "use"})
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Control characters, those that turn the direction of a line, and halves of characters: none may act, all are shown."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | int | float | None | Iterable["Child"]


def tag(name: str, /, *children: Child, **attributes: Any) -> Markup:
    """`<name attributes>children</name>`.

    Attributes that are None or False are left out, True stands alone; `class_` is class, and `_` in a name is `-`.
    """
    said = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None and value is not False)
    if name in VOID and not children:
        return Markup(f"<{name}{said}/>")
    return Markup(f"<{name}{said}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Markup:
    """The children one behind the other, escaped where they are text; None is nothing."""
    return Markup("".join(_one(child) for child in children))


def text(value: object) -> Markup:
    """`value` as text that only says itself."""
    return Markup(html.escape(STEERING.sub(_shown, str(value)), quote=True))


def data(value: Any) -> Markup:
    """`value` as JSON that may stand inside a script element, whatever texts it holds. Raises ValueError for nan."""
    said = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(re.sub(r"[<>&\u2028\u2029\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", said))


def _one(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    return text(child) if isinstance(child, str | int | float) else joined(child)


def _attribute(key: str, value: Any) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{value if isinstance(value, Markup) else text(value)}"'


def _shown(found: re.Match[str]) -> str:
    return f"⟨U+{ord(found[0]):04X}⟩"

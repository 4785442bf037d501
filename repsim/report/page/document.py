"""Owns the page as a whole: one HTML file that holds all that it needs, asks for nothing, and runs no script but its own."""

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from repsim.report.page import markup, sections, vector
from repsim.report.page.markup import Markup, tag

SAFE = "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'"


def html(data: Mapping[str, Any]) -> str:
    """The page of gathered data."""
    style, script = _part("style.css"), _part("script.js")
    rules = SAFE.format(_digest(style), _digest(script))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=Markup(rules)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"repsim {data['repsim']}"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{data['sweep']} · repsim report"),
        tag("style", style),
    )
    return f"<!doctype html>\n{tag('html', head, _body(data, script), lang='en')}\n"


def _body(data: Mapping[str, Any], script: Markup) -> Markup:
    parts = sections.of(data)
    links = [tag("li", tag("a", one.title, href=f"#{one.name}")) for one in parts]
    theme = tag("button", "Dark", type="button", id="theme", aria_pressed="false")
    printing = tag("button", "Print", type="button", id="print")
    nav = tag("nav", tag("ul", links), tag("div", theme, printing, class_="buttons"), aria_label="Sections")
    blocks = [tag("section", tag("h2", one.title), one.content, id=one.name, aria_label=one.title) for one in parts]
    return tag(
        "body",
        vector.definitions(),
        tag("a", "Skip to the numbers", href="#tables", class_="skip"),
        tag("div", nav, tag("main", _header(data), blocks), class_="page"),
        tag("div", id="tip", role="tooltip", hidden=True),
        tag("script", markup.data(data), type="application/json", id="data"),
        tag("script", script),
    )


def _header(data: Mapping[str, Any]) -> Markup:
    made = f"{data['spec_file']} · job {data['size']['job']} · report of {data['made']} · repsim {data['repsim']}"
    question = tag("p", data["question"], class_="question") if data["question"] else None
    return tag("header", tag("h1", tag("bdi", data["sweep"])), question, tag("p", made, class_="note"), sections.facts(data))


def _part(name: str) -> Markup:
    """A file of the page beside this one, as it stands."""
    return Markup(files("repsim.report.page").joinpath(name).read_text(encoding="utf-8"))


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

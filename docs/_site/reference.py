"""Owns the command reference: docs/commands.md, followed by what the commands say of themselves."""

import re
from collections.abc import Iterator
from html import escape
from typing import Any

import typer
from mkdocs.structure.pages import Page

from repsim.cli.main import app

NOTE = re.compile(r"\s*\[([^\[\]]*)\]$")  # what help ends with: [required], [default: 20]


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    return f"{markdown}\n{text()}" if page.file.src_uri == "commands.md" else markdown


def text() -> str:
    """Markdown with a heading for each noun and each command."""
    root: Any = typer.main.get_command(app)
    sections = [_section(root, "repsim", 2)]
    for name, command in root.commands.items():
        sections.append(_section(command, f"repsim {name}", 2))
        verbs = getattr(command, "commands", {})
        sections += [_section(verbs[verb], f"repsim {name} {verb}", 3) for verb in verbs if not verbs[verb].hidden]
    return "\n\n".join(sections)


def _section(command: Any, name: str, level: int) -> str:
    """A command's heading, help, usage, arguments and options."""
    context = command.make_context(name, [], resilient_parsing=True)
    usage = command.get_usage(context).removeprefix("Usage: ")
    said = "".join(f"<p>{escape(part)}</p>\n" for part in (command.help or "").split("\n\n") if part)
    return f"{'#' * level} {name}\n\n{said}<pre><code>{escape(usage)}</code></pre>\n{_table(command, context)}"


def _table(command: Any, context: Any) -> str:
    rows = "".join(_row(*record) for record in _records(command, context))
    head = "<thead><tr><th>argument or option</th><th>meaning</th><th>default</th></tr></thead>"
    return f"<table>{head}<tbody>\n{rows}</tbody></table>" if rows else ""


def _records(command: Any, context: Any) -> Iterator[tuple[str, str]]:
    """Names and help of every parameter that help shows, as it shows them."""
    found = (parameter.get_help_record(context) for parameter in command.get_params(context))
    return (record for record in found if record)


def _row(names: str, said: str) -> str:
    note = NOTE.search(said)
    cells = [f"<code>{escape(names)}</code>", escape(NOTE.sub("", said)), escape(note[1].removeprefix("default: ") if note else "")]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"

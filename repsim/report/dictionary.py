"""Owns how a data dictionary is shown: text by source, Markdown, CSV, JSON."""

import csv
import io
import json
from collections.abc import Sequence
from textwrap import wrap

from repsim.dictionary import SOURCES, Entry, plain

FORMATS = ("text", "markdown", "csv", "json")
WIDTH, DEEP = 110, " " * 6


def render(entries: Sequence[Entry], title: str, format: str) -> str:
    """The dictionary in one of FORMATS, ending its last line."""
    return {"text": _text, "markdown": _markdown, "csv": _csv, "json": _json}[format](entries, title)


def _text(entries: Sequence[Entry], title: str) -> str:
    lines = [title]
    for source, said in SOURCES.items():
        found = [one for one in entries if one.source == source]
        if found:
            lines += ["", f"{source} · {said}"]
        for one in found:
            lines.append(f"  {one.column} ({one.type}, {one.unit})")
            lines += wrap(_meaning(one), WIDTH, initial_indent=DEEP, subsequent_indent=DEEP)
    return "\n".join(lines) + "\n"


def _meaning(one: Entry) -> str:
    """What it means, with what was asked for and the paper where they add to it."""
    named = one.reference if one.reference and one.reference not in one.meaning else ""
    parts = [one.meaning, one.asked and f"asked for: {one.asked}", named and f"see {named}"]
    return "; ".join(filter(None, parts))


def _markdown(entries: Sequence[Entry], title: str) -> str:
    lines = [f"# {title}", "", *(f"- *{source}*: {said}" for source, said in SOURCES.items()), ""]
    lines += ["| column | type | unit | source | meaning |", "| --- | --- | --- | --- | --- |"]
    for one in entries:
        cells = (f"`{one.column}`", one.type, one.unit, one.source, _meaning(one))
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("*", "\\*") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _csv(entries: Sequence[Entry], title: str) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Entry.__dataclass_fields__)
    writer.writerows(one.values() for one in plain(entries))
    return out.getvalue()


def _json(entries: Sequence[Entry], title: str) -> str:
    return json.dumps({"title": title, "sources": SOURCES, "columns": plain(entries)}, indent=1, ensure_ascii=False) + "\n"

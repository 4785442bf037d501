"""Owns how the state of the store is told: what can be read, what cannot and why, and where it was moved."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repsim.checking import Found
from repsim.compaction import Merge
from repsim.report.counts import number


def check_json(found: Found, moved: Mapping[Path, Path]) -> dict[str, Any]:
    """Counts, and each bad file with the reason; `moved` is null for one that lies where it lay."""
    bad = [{"file": one.where, "why": one.what, "moved": _text(moved.get(one.path))} for one in found.bad]
    odd = [{"file": one.where, "why": one.what, "do": one.do} for one in found.odd]
    return {"parts": found.parts, "rows": found.rows, "bad": bad, "odd": odd}


def check_text(shown: dict[str, Any]) -> str:
    """The same in lines."""
    lines = [f"{number(shown['parts'], 'part')} with {number(shown['rows'], 'row')} can be read"]
    for one in shown["bad"]:
        lines.append(f"bad: {one['file']}\n     {one['why']}" + (f"\n     moved to {one['moved']}" if one["moved"] else ""))
    lines += [f"odd: {one['file']}\n     {one['why']}\n     → {one['do']}" for one in shown["odd"]]
    if any(one["moved"] is None for one in shown["bad"]):
        lines.append("→ repsim results check --move puts them aside, as the next submit or run does; their runs are computed again")
    return "\n".join(lines)


def merges_json(done: Sequence[Merge]) -> dict[str, Any]:
    """How many parts became which."""
    return {"merged": [{"file": str(one.part), "parts": one.parts, "rows": one.rows} for one in done]}


def merges_text(shown: dict[str, Any]) -> str:
    """The same in lines."""
    lines = [f"{number(one['parts'], 'part')} → {one['file']} ({number(one['rows'], 'row')})" for one in shown["merged"]]
    return "\n".join(lines) or "nothing to merge"


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)

"""Owns how a comparison with papers is shown: text, Markdown, LaTeX, CSV, JSON."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from math import isfinite
from textwrap import wrap
from typing import Any

from repsim.against_paper import Check, Claim, Comparison, Line
from repsim.papers import PAPERS
from repsim.published import KNOWN, Place
from repsim.report.latex import escaped
from repsim.report.markdown import ESCAPED as MARKDOWN
from repsim.selected import Mean

WIDTH = 100
HEAD = ("value", "where", "published", "ours", "difference", "theirs inside ours")
FINDINGS = ("finding", "known", "verdict", "checks", "intervals apart")
ABOUT = (
    "Ours: mean ± 95 % interval, (numbers of expected runs). Theirs ± as published, with its n. A finding holds where the order of "
    "means does at every check; intervals apart: at how many of them the 95 % intervals do not overlap either."
)


def render(found: Sequence[Comparison], format: str) -> str:
    """`found` in one of the formats; ends with a newline."""
    return RENDERERS[format](found)


def as_dict(found: Sequence[Comparison]) -> list[dict[str, Any]]:
    """One entry per figure or table, with all numbers unrounded."""
    return [
        {
            **{"sweep": one.sweep, "paper": one.block.paper, "reference": PAPERS[one.block.paper].reference},
            **one.block.model_dump(include={"place", "known", "source", "setting", "differs"}),
            "numbers": [_number(line) for line in one.lines],
            "findings": [_finding(claim) for claim in one.claims],
        }
        for one in found
    ]


def _number(line: Line) -> dict[str, Any]:
    theirs = {"published": line.number.is_, "published_spread": line.number.spread, "published_n": line.number.n}
    said = {"place": line.place, "known": line.known, "value": line.value, "at": line.number.at, "unit": line.ours.unit}
    return {**said, **theirs, **_mean(line.ours), "difference": _finite(line.difference), "inside": line.inside}


def _finding(claim: Claim) -> dict[str, Any]:
    checks = [{"at": check.at, "verdict": check.verdict, "means": [_mean(mean) for mean in check.means]} for check in claim.checks]
    said = {"say": claim.finding.say, "place": claim.place, "known": claim.known, "value": claim.value, "verdict": claim.verdict}
    return {**said, "held": claim.count("holds"), "of": len(claim.checks), "apart": claim.apart, "checks": checks}


def _mean(mean: Mean) -> dict[str, Any]:
    numbers = {name: _finite(getattr(mean, name)) for name in ("mean", "low", "high")}
    return {**numbers, "n": mean.n, "expected": mean.expected}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def title(one: Comparison) -> str:
    return f"{PAPERS[one.block.paper].short}, {one.block.place} ({one.sweep})"


def told_of(one: Comparison) -> list[str]:
    """How the paper measured, how its numbers are known, and what is otherwise here."""
    differs = "; ".join(one.block.differs) or "nothing that we know of but what the sweep says"
    known = f"{KNOWN[one.block.known]}: {one.block.source}"
    return [f"theirs: {one.block.setting}", f"known: {known}", f"otherwise here: {differs}"]


def _cells(line: Line, block_place: str) -> list[str]:
    """A line of the table of numbers; a place or a knowledge that is not the block's is named."""
    spread = f" ± {_short(line.number.spread, line)}" if line.number.spread is not None else ""
    count = f" (n = {line.number.n})" if line.number.n else ""
    other = f"; {line.place}" if line.place != block_place else ""
    difference = f"{line.difference:+{_form(line)}}" if isfinite(line.difference) else "–"
    inside = {True: "yes", False: "no", None: "–"}[line.inside]
    theirs = f"{_short(line.number.is_, line)}{spread}{count}, {line.known}{other}"
    return [f"{line.value} {line.ours.unit}".rstrip(), where(line.number.at), theirs, ours(line), difference, inside]


def ours(line: Line) -> str:
    """As a cell of a table reads."""
    mean = line.ours
    if not mean.n:
        return f"not computed (0/{mean.expected})"
    half = _short((mean.high - mean.low) / 2, line) if isfinite(mean.low) else "–"
    return f"{_short(mean.mean, line)} ± {half} ({mean.n}/{mean.expected})"


def where(place: Place) -> str:
    return ", ".join(f"{key} {', '.join(map(str, value)) if isinstance(value, list) else value}" for key, value in place.items())


def _form(line: Line) -> str:
    return ".2f" if line.ours.unit == "points" else ".1f" if line.ours.unit == "%" else ".4f"


def _short(value: float, line: Line) -> str:
    return format(value, _form(line))


def _claim(claim: Claim) -> list[str]:
    held, of = claim.count("holds"), len(claim.checks)
    return [claim.finding.say, claim.known, claim.verdict, f"{held} of {of}", f"{claim.apart} of {of}"]


def shown(claim: Claim) -> list[str]:
    """The means of a single check, and of each check where the order is another one."""
    single = len(claim.checks) == 1
    return [said for check in claim.checks if (single or check.verdict == "does not hold") and (said := order(check, claim.value))]


def order(check: Check, value: str) -> str:
    """The means in the order that is claimed; nothing where one is missing."""
    if check.verdict == "not enough runs":
        return ""
    at = ", ".join(f"{key} {value}" for key, value in check.at.items())
    said = " < ".join(f"{mean.mean:.4g}" for mean in check.means)
    return f"{at}{': ' if at else ''}{value.replace('_', ' ')} {said}{'' if check.verdict == 'holds' else ' is not so'}"


def _text(found: Sequence[Comparison]) -> str:
    return "\n\n".join(map(_block, found)) + f"\n\n{_wrapped(ABOUT)}\n"


def _block(one: Comparison) -> str:
    lines = [title(one), "─" * min(len(title(one)), WIDTH), *(_wrapped(said) for said in told_of(one))]
    if not one.begun:
        lines.append(f"  nothing is computed yet: repsim sweep run {one.sweep}")
    if one.lines:
        lines += ["", *_aligned([list(HEAD), *(_cells(line, one.block.place) for line in one.lines)])]
    for claim in one.claims:
        held = f"{claim.count('holds')} of {len(claim.checks)}, intervals apart in {claim.apart}"
        lines += ["", _wrapped(f"{claim.verdict.upper()} ({held}; {claim.known}): {claim.finding.say}")]
        lines += [f"    {said}" for said in shown(claim)]
    return "\n".join(lines)


def _wrapped(text: str) -> str:
    return "\n".join(wrap(text, WIDTH, subsequent_indent="  "))


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _markdown(found: Sequence[Comparison]) -> str:
    return "\n\n".join("\n".join(_markdown_block(one)).rstrip() for one in found) + f"\n\n{ABOUT.translate(MARKDOWN)}\n"


def _markdown_block(one: Comparison) -> list[str]:
    lines = [f"### {title(one)}".replace("_", "\\_"), "", *(f"- {said.translate(MARKDOWN)}" for said in told_of(one)), ""]
    if not one.begun:
        lines += [f"Nothing is computed yet: `repsim sweep run {one.sweep}`.", ""]
    if one.lines:
        lines += [*_pipes([list(HEAD), *(_cells(line, one.block.place) for line in one.lines)]), ""]
    if one.claims:
        lines += [*_pipes([list(FINDINGS), *map(_claim, one.claims)]), ""]
        told = [(claim.finding.say, said) for claim in one.claims for said in shown(claim)]
        lines += [f"- {say.translate(MARKDOWN)}: {said.translate(MARKDOWN)}" for say, said in told]
    return lines


def _pipes(rows: Sequence[Sequence[str]]) -> list[str]:
    shown = ["| " + " | ".join(cell.translate(MARKDOWN) for cell in row) + " |" for row in rows]
    return [shown[0], "| " + " | ".join(["---"] * len(rows[0])) + " |", *shown[1:]]


def _latex(found: Sequence[Comparison]) -> str:
    r"""A booktabs table of numbers and one of findings per comparison; needs \usepackage{booktabs}."""
    tables = []
    for one in found:
        if one.lines:
            tables.append(_tabular(title(one), HEAD, [_cells(line, one.block.place) for line in one.lines]))
        if one.claims:
            tables.append(_tabular(title(one), FINDINGS, list(map(_claim, one.claims))))
    return "\n".join(tables)


def _tabular(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    first, *rest = [" & ".join(escaped(cell) for cell in row) + r" \\" for row in [head, *rows]]
    columns = "p{6cm}" + "l" * (len(head) - 1) if head is FINDINGS else "l" * len(head)
    begin = [r"\begin{table}", r"\centering", rf"\caption{{{escaped(caption)}}}", rf"\begin{{tabular}}{{{columns}}}"]
    return "\n".join([*begin, r"\toprule", first, r"\midrule", *rest, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def _csv(found: Sequence[Comparison]) -> str:
    """One line per published number and per finding, unrounded."""
    head = {"sweep": 0, "paper": 0, "kind": 0, "place": 0, "known": 0, "value": 0, "at": 0, "unit": 0, "published": 0}
    head |= {"published_spread": 0, "published_n": 0, "mean": 0, "low": 0, "high": 0, "n": 0, "expected": 0}
    out = io.StringIO()
    names = [*head, "difference", "inside", "say", "verdict", "held", "of", "apart"]
    writer = csv.DictWriter(out, names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for one in as_dict(found):
        same = {"sweep": one["sweep"], "paper": one["paper"]}
        writer.writerows({**same, "kind": "number", **line, "at": where(line["at"])} for line in one["numbers"])
        writer.writerows({**same, "kind": "finding", **claim} for claim in one["findings"])
    return out.getvalue()


def _json(found: Sequence[Comparison]) -> str:
    return json.dumps({"comparisons": as_dict(found)}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


RENDERERS: dict[str, Callable[[Sequence[Comparison]], str]] = {
    **{"text": _text, "markdown": _markdown, "latex": _latex},
    **{"csv": _csv, "json": _json},
}

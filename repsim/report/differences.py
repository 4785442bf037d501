"""Owns how the differences of two tidy tables are told: counts, what changed and by how much, and the paired difference."""

from collections.abc import Sequence
from math import isfinite

from repsim.compared import Numbers, Paired, Texts
from repsim.differences import Differences, Group
from repsim.report.counts import number
from repsim.report.wording import UNITS
from repsim.tidy import Tidy

NAMED = 5  # runs in one only that are named
Row = Sequence[str]


def text(found: Differences, names: tuple[str, str], tidies: tuple[Tidy, Tidy]) -> str:
    """All of it in lines, the most important first."""
    blocks = [_heads(names, tidies), _runs(found, tidies), _verdict(found), _numbers(found), _texts("changed texts", found.texts)]
    blocks += [_paired(found.whole.paired) or _mixed(found), _groups(found)]
    blocks += [_texts("asked for otherwise, and matched all the same", found.asked)]
    blocks += [_texts("computed elsewhere or by other versions (no change of a result)", found.provenance), _beside(found)]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _heads(names: tuple[str, str], tidies: tuple[Tidy, Tidy]) -> list[str]:
    return [f"{side}  {name}: {_of(tidy)}" for side, name, tidy in zip("AB", names, tidies, strict=True)]


def _of(tidy: Tidy) -> str:
    facts = tidy.facts
    done = f"{facts['runs_finished']:,} of {number(facts['runs_expected'], 'run')}"
    return f"sweep {facts['sweep']}, job {facts['job']} version {facts['job_version']}, {done}, newest {facts['made'] or '–'}"


def _runs(found: Differences, tidies: tuple[Tidy, Tidy]) -> list[str]:
    matched = found.matched
    ways = ", ".join(f"{count:,} by {way}" for way, count in matched.by.items() if count)
    lines = [f"in both    {len(matched.a):,}" + (f" ({ways})" if ways else "")]
    for side, tidy, rows in zip("AB", tidies, (matched.only_a, matched.only_b), strict=True):
        lines.append(f"only in {side}  {len(rows):,}" + (f": {_named(tidy, rows)}" if len(rows) else ""))
    if matched.unclear:
        lines.append(f"of these {number(matched.unclear, 'run')} of A cannot be told apart from others like it, so none is matched")
    return lines


def _named(tidy: Tidy, rows) -> str:
    """The first runs, by case and id."""
    ids, cases = (tidy.table[name].take(rows[:NAMED]).to_pylist() for name in ("run_id", "case"))
    said = [f"{run} ({case})" if case else run for run, case in zip(ids, cases, strict=True)]
    return ", ".join(said) + (f" and {len(rows) - NAMED:,} more" if len(rows) > NAMED else "")


def _verdict(found: Differences) -> list[str]:
    if not len(found.matched.a):
        return ["no run is in both: nothing can be compared"]
    equal = sum(1 for one in found.numbers if not one.changed) + sum(1 for one in found.texts if not one.changed)
    every = len(found.numbers) + len(found.texts)
    if not found.whole.changed:
        return [f"nothing that was measured changed: all of {every} columns are equal in all runs that are in both"]
    whole, columns = found.whole, f"{every - equal} of {every} columns"
    return [f"what was measured changed in {whole.changed:,} of {number(whole.runs, 'run')}, in {columns}"]


def _numbers(found: Differences) -> list[str]:
    rows = [_line(one) for one in found.numbers if one.changed or one.within]
    head = ("column", "equal", "within", "changed", "mean of B − A", "largest", "in run", "")
    return _aligned([head, *rows]) if rows else []


def _line(one: Numbers) -> Row:
    said = [(one.lost, "nothing in B"), (one.found, "nothing in A"), (one.reshaped, "of another length")]
    beside = ", ".join(f"{count:,} {what}" for count, what in said if count)
    run = "" if one.run_a is None else one.run_a if one.run_a == one.run_b else f"{one.run_a} → {one.run_b}"
    return one.column, f"{one.equal:,}", f"{one.within:,}", f"{one.changed:,}", _signed(one.mean), _signed(one.largest), run, beside


def _texts(title: str, texts: Sequence[Texts]) -> list[str]:
    lines = []
    for one in texts:
        if one.changed:
            common = ", ".join(f"{a} → {b} ({count:,})" for a, b, count in one.common)
            left = one.changed - sum(count for *_, count in one.common)
            lines.append(f"  {one.column}: {common}" + (f", {left:,} others" if left else ""))
    return [f"{title}:", *lines] if lines else []


def _paired(paired: Paired | None) -> list[str]:
    if paired is None or not paired.runs:
        return []
    unit = " accuracy points" if paired.points else ""
    over = UNITS["jackknife"][paired.over].format(f"{paired.units:,}")
    over = over.replace("networks", "runs") if paired.of == "run" else over
    among = number(paired.pairs, paired.of) + (" of networks" if paired.of == "pair" else "")
    interval = f"95 % interval, {over}" if isfinite(paired.half) else "no interval: too few independent networks"
    return [f"{paired.value}, B − A: {_mean(paired)}{unit} (mean over {among}; {interval})"]


def _mixed(found: Differences) -> list[str]:
    """Why nothing is told of the whole."""
    told = "value, B − A: of several measures there is no mean; --by measure tells each"
    return [told] if found.mixed and not found.groups else []


def _mean(paired: Paired) -> str:
    return f"{_signed(paired.mean)} ± {_plain(paired.half)}"


def _groups(found: Differences) -> list[str]:
    if not found.groups:
        return []
    value = next((f"{group.paired.value}, B − A" for group in found.groups if group.paired), "")
    return _aligned([(*found.by, "runs", "changed", value), *map(_group, found.groups)], len(found.by))


def _group(group: Group) -> Row:
    return *group.key, f"{group.runs:,}", f"{group.changed:,}", _mean(group.paired) if group.paired and group.paired.runs else ""


def _beside(found: Differences) -> list[str]:
    lines = [f"times and memory differ, as they always do: {', '.join(found.times)}"] if found.times else []
    for side, names in zip("AB", found.only_columns, strict=True):
        lines += [f"columns only in {side}: {', '.join(names)}"] if names else []
    return lines


def _signed(value: float | None) -> str:
    return "" if value is None else "±0" if value == 0 else f"{value:+.3g}".replace("-", "−")


def _plain(value: float) -> str:
    return f"{value:.2g}" if isfinite(value) else "–"


def _aligned(rows: Sequence[Row], left: int = 1) -> list[str]:
    """Columns of one width each; the first `left` and the last two to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ends = len(widths) - 2 if left == 1 and len(widths) > 6 else len(widths)
    padded = []
    for row in rows:
        sides = [place < left or place >= ends for place in range(len(row))]
        cells = zip(sides, row, widths, strict=True)
        padded.append([cell.ljust(width) if to_left else cell.rjust(width) for to_left, cell, width in cells])
    rule = ["─" * width for width in widths]
    return ["  ".join(line).rstrip() for line in (padded[0], rule, *padded[1:])]

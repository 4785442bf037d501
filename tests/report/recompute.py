"""Owns a second opinion on a report: every number of the page, made again from the tidy Parquet file by pandas and numpy alone.

    repsim results report SWEEP --out report.html
    repsim results aggregate SWEEP --missing --out sweep.parquet
    python tests/report/recompute.py report.html sweep.parquet

Nothing of repsim is imported: labels, means over pairs, intervals, counts and shares of seconds are written here a second time,
from what the documentation says of them. Compared are the cells of all tables, shown or drawn (mean, std, ends of the interval,
n, expected, diverged, undefined, pairs, units); the words in the cells of the page, to their last digit; the places of drawn
points, by the ticks of their axis; coverage; and how many rows come from where. Exits with 1 where anything differs.
"""

import html
import json
import re
import sys
from collections import Counter
from fnmatch import fnmatchcase
from math import isnan
from pathlib import Path

import numpy as np
import pandas as pd
from again import cell, compared

NEAR = 1e-9  # relative; sums may be made in another order
PIXEL = 0.12
LAYER = {"front_layer": "layer", "front_arch": "arch"}
MISSING = "missing"


class Tally:
    """How many numbers were compared, how far off they were, and what differs."""

    def __init__(self):
        self.count = Counter()
        self.worst = 0.0
        self.wrong: list[str] = []

    def compare(self, kind: str, where: str, said, found, tolerance: float = 0.0) -> None:
        self.count[kind] += 1
        if said is None or found is None or isinstance(said, str):
            off = 0.0 if said == found else float("inf")
        else:
            off = abs(said - found) / (1.0 if tolerance else max(abs(found), 1e-12)) if said != found else 0.0
        if off > (tolerance or NEAR):
            self.wrong.append(f"{kind}, {where}: the report says {said}, the rows give {found}")
        elif not tolerance:
            self.worst = max(self.worst, off)


def labels(frame: pd.DataFrame, name: str, keys: list[str]) -> list[str]:
    """What a run is called along one key: a front layer with its end layer where they differ and the end is no key of its own."""
    if name == "pool":
        return ["all layers"] * len(frame)
    front, partner = [text(value) for value in frame[name]], f"end_{LAYER.get(name, '')}"
    if partner not in frame or partner in keys:
        return front
    return [a if a == b else f"{a}→{b}" for a, b in zip(front, map(text, frame[partner]), strict=True)]


def text(value) -> str:
    if value is None or (isinstance(value, float) and isnan(value)):
        return "–"
    return repr(float(value)).removesuffix(".0") if isinstance(value, float | np.floating) else str(value)


def wanted(frame: pd.DataFrame, table: dict) -> dict[tuple, pd.DataFrame]:
    """The runs of each cell, by the labels of row and column."""
    said = table["definition"]
    keys = [*said.get("pages", []), *said["rows"], *said["cols"]]
    along = {name: labels(frame, name, keys) for name in keys}
    page = tuple(value for _, value in table.get("page", []))
    parts: dict[tuple, list[int]] = {}
    for i in range(len(frame)):
        row, col, mine = (tuple(along[name][i] for name in said.get(side, [])) for side in ("rows", "cols", "pages"))
        if mine == page:
            parts.setdefault((row, col), []).append(i)
    return {key: real(frame.iloc[places]) for key, places in parts.items()}


def filtered(frame: pd.DataFrame, where: dict[str, list]) -> pd.DataFrame:
    """The runs that have one of the values (globs) in each of the columns."""
    for name, values in where.items():
        patterns = ["–" if value is None else text(value) for value in values]
        frame = frame[[any(fnmatchcase(text(value), pattern) for pattern in patterns) for value in frame[name]]]
    return frame


def real(runs: pd.DataFrame) -> pd.DataFrame:
    """Without negative controls, unless there is nothing else."""
    if "control" not in runs or runs["control"].isna().all() or runs["control"].notna().all():
        return runs
    return runs[runs["control"].isna()]


def shares(frame: pd.DataFrame) -> pd.DataFrame:
    """With `seconds_by_work`: the seconds of a run's group, shared out by the work that each run is."""
    done = frame["outcome"] != MISSING
    groups = frame[done].groupby(["submission", "group", "started"], dropna=False)
    seconds = groups["run_seconds"].transform("sum") * frame["work"][done] / groups["work"].transform("sum")
    return frame.assign(seconds_by_work=seconds.reindex(frame.index))


def check_tables(data: dict, frame: pd.DataFrame, tally: Tally) -> dict[str, list[dict]]:
    """Every cell of every table; the recomputed cells by table."""
    found = {}
    for table in [*data["tables"], *data["drawn"]]:
        said = table["definition"]
        if said["controls"]:
            print(f"{table['id']}: left out, its definition shows controls")
            continue
        parts = wanted(filtered(frame, said.get("where", {})), table)
        scale, bootstrap = (100 if table["unit"] else 1), said["spread"] == "bootstrap"
        places = {(tuple(table["rows"][c[0]]), tuple(table["cols"][c[1]])) for c in table["cells"]}
        tally.compare("cells there", table["id"], len(places ^ parts.keys()), 0)
        found[table["id"]] = [{}] * len(table["cells"])
        for i, numbers in enumerate(table["cells"]):
            key = (tuple(table["rows"][numbers[0]]), tuple(table["cols"][numbers[1]]))
            mine = cell(parts[key], table["value"], scale, bootstrap) if key in parts else {}
            found[table["id"]][i] = mine
            for name, value in zip(table["fields"], numbers, strict=True):
                if name in mine and (name != "expected" or (frame["outcome"] == MISSING).any() or complete(data)):
                    tally.compare("table", f"{table['id']} {key} {name}", value, mine[name])
        if table["comparison"] and not bootstrap:
            check_comparison(table, parts, scale, tally)
    return found


def check_comparison(table: dict, parts: dict[tuple, pd.DataFrame], scale: float, tally: Tally) -> None:
    """The lines of a paired comparison, but for what is adjusted over all of them."""
    cols = {" / ".join(key): tuple(key) for key in table["cols"]}
    for line, row in zip(table["comparison"]["records"], table["rows"], strict=True):
        two = [parts.get((tuple(row), cols[line[side]])) for side in ("a", "b")]
        mine = compared(*two, table["value"], scale) if all(one is not None for one in two) else {}
        for name, value in mine.items():
            tally.compare("compared", f"{table['id']} {row} {name}", line[name], value, 1e-9 if name == "p" else 0.0)


def complete(data: dict) -> bool:
    """Whether all runs are there, so that expected runs are those of the file."""
    return data["provenance"]["rows"] == data["size"]["runs"]


def check_words(page: str, data: dict, cells: dict[str, list[dict]], tally: Tally) -> None:
    """The numbers in the cells of the page, to half of their last digit; which must be as many as the data has."""
    for table in data["tables"]:
        body = re.search(rf'<table class="gathered" data-table="{re.escape(html.escape(table["id"]))}".*?</table>', page, re.S)
        found = re.findall(r'<td[^>]*data-i="(\d+)"[^>]*>(.*?)</td>', body[0] if body else "", re.S)
        tally.compare("cells shown", table["id"], len(found), len(table["cells"]))
        for index, inside in found if table["id"] in cells else ():
            mine = cells[table["id"]][int(index)]
            words = html.unescape(re.sub(r"<[^>]+>", "", inside))
            half = None if mine.get("low") is None else (mine["high"] - mine["low"]) / 2
            half = mine["std"] if table["definition"]["spread"] == "std" else half
            read(words, mine["mean"], half, f"{table['id']} cell {index}", tally)


def read(words: str, mean: float | None, half: float | None, where: str, tally: Tally) -> None:
    """48.23 ± 11.30 (6/6): each number as near as its last digit says."""
    said = re.match(r"\s*([−–\d.e+-]+)(?: ± ([−–\d.e+-]+))?", words)
    for told, value in zip(said.groups() if said else (None, None), (mean, half), strict=True):
        if told is None or told == "–":
            tally.compare("words", where, None, value if told else None)
        else:
            digits = told.replace("−", "-")
            mantissa, _, power = digits.partition("e")
            last = 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))
            tally.compare("words", where, float(digits), value, 0.5001 * last if "." in digits or value is None else 0.5001)


def check_points(page: str, cells: dict[str, list[dict]], tally: Tally) -> None:
    """Where points are drawn: on a linear axis their height must be that of their mean, as the ticks have it."""
    for panel in re.findall(r'<svg viewBox[^>]*class="panel.*?</svg>', page, re.S):
        ticks = re.findall(r'y="([\d.]+)" text-anchor="end" class="tick">([−\d.,]+)<', panel)
        if len(ticks) < 2:
            continue
        y, value = (np.array(side) for side in zip(*((float(a) - 3.5, number(b)) for a, b in ticks), strict=True))
        slope, start = np.polyfit(value, y, 1)
        linear = np.abs(start + slope * value - y).max() < PIXEL
        for table, index, inside in re.findall(r'<g [^>]*?data-t="([^"]+)" data-i="(\d+)"[^>]*>(.*?)</g>', panel, re.S):
            marker = re.search(r'<use href="#m\d" x="[\d.]+" y="([\d.]+)"', inside)
            if linear and marker and table in cells:
                height = start + slope * cells[table][int(index)]["mean"]
                tally.compare("points", f"{table} cell {index}", float(marker[1]), float(height), PIXEL)


def number(words: str) -> float:
    return float(words.replace(",", "").replace("−", "-"))


def check_rest(data: dict, frame: pd.DataFrame, tally: Tally) -> None:
    """Coverage, where rows come from, and hours."""
    done = frame[frame["outcome"] != MISSING]
    tally.compare("coverage", "runs", data["coverage"]["states"].get("done", 0), len(done))
    tally.compare("coverage", "diverged", data["coverage"]["diverged"], int((done["outcome"] == "diverged").sum()))
    layer = next((name for name in ("front_layer", "layer") if name in frame), None)
    if layer and data["size"]["cases"]:
        counts = Counter(zip(done["case"].map(str), done[layer].map(str), strict=True))
        for one in data["coverage"]["cells"]:
            tally.compare("coverage", f"{one['row']}, {one['col']}", one.get("done", 0), counts[one["row"], one["col"]])
    for name, values in data["provenance"]["columns"].items():
        counts = Counter("none" if text(value) == "–" else text(value) for value in done[name])
        for value, count in values:
            tally.compare("origin", f"{name} {value}", count, counts[value])
    for one in data["cost"]["devices"]:
        mine = done[(done["job"] == one["job"]) & (done["device"] == one["device"]) & (done["gpu"].fillna("none") == one["card"])]
        if one["job"] == data["size"]["job"]:
            tally.compare("hours", str(one["device"]), one["hours"], float(mine["run_seconds"].sum()) / 3600)


def main(report: Path, tidy: Path) -> int:
    """Compare, and say how many numbers there were and how far off the farthest was."""
    page = report.read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])
    frame, tally = shares(pd.read_parquet(tidy)), Tally()
    cells = check_tables(data, frame, tally)
    check_words(page, data, cells, tally)
    check_points(page, cells, tally)
    check_rest(data, frame, tally)
    for line in tally.wrong[:20]:
        print(line)
    parts = ", ".join(f"{count:,} {kind}" for kind, count in tally.count.items())
    print(f"{sum(tally.count.values()):,} numbers compared ({parts}): {len(tally.wrong)} differ")
    print(f"largest relative deviation {tally.worst:.1e}")
    return 1 if tally.wrong or not cells else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

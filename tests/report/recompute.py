"""Owns a second opinion on a report: every number of the page, made again from the tidy Parquet file by pandas and numpy alone.

    repsim results report SWEEP --out report.html
    repsim results aggregate SWEEP --missing --out sweep.parquet
    python tests/report/recompute.py report.html sweep.parquet

Nothing of repsim is imported: labels, means over pairs, intervals, counts and shares of seconds are written here a second time,
from what the documentation says of them. Compared are the cells of all tables, shown or drawn (mean, std, ends of the interval,
n, expected, diverged, undefined, pairs, units) and which is marked as best; all of paired comparisons; what the page prints, to
its last digit: cells, captions, counts at its head, labels of points; where points, their intervals and lines are drawn, by the
ticks of their axes; coverage, hours, the networks' accuracies, and how many rows come from where. Not in the rows, so not
compared: forecasts, what tasks waited, runs of other jobs. Exits with 1 where anything differs.
"""

import json
import re
import sys
from collections import Counter
from fnmatch import fnmatchcase
from math import isnan
from pathlib import Path

import numpy as np
import pandas as pd
from again import cell, compared, holm, in_common, interval
from printed import Tally, check_comparison_words, check_figures, check_head, check_words

LAYER = {"front_layer": "layer", "front_arch": "arch"}
MISSING = "missing"


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
    """With `seconds_by_work`: the seconds of a run's group, shared out by the work that each run is, equally where it is none."""
    done = frame["outcome"] != MISSING
    groups = frame[done].groupby(["submission", "group", "started"], dropna=False)
    work = groups["work"].transform("sum")
    seconds = (groups["run_seconds"].transform("sum") * frame["work"][done] / work).where(work > 0, frame["run_seconds"][done])
    return frame.assign(seconds_by_work=seconds.reindex(frame.index))


def check_tables(data: dict, frame: pd.DataFrame, tally: Tally) -> dict[str, list[dict]]:
    """Every cell of every table; the recomputed cells by table."""
    found, compared_lines = {}, []
    for table in [*data["tables"], *data["drawn"]]:
        said = table["definition"]
        mine = filtered(frame, said.get("where", {}))
        parts = wanted(beside(mine, table["value"]) if said["controls"] else mine, table)
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
        check_best(table, parts, scale, tally)
        if table["comparison"]:
            compared_lines += check_comparison(table, parts, scale, tally)
    for (line, _, where), p in zip(compared_lines, holm([mine.get("p") for _, mine, _ in compared_lines]), strict=True):
        tally.compare("compared", f"{where} p_holm", line["p_holm"], p, 1e-9)
    return found


def beside(frame: pd.DataFrame, value: str) -> pd.DataFrame:
    """Runs with their controls beside them: real, null where a row holds one of this number, and controls by name."""
    named = frame["control"] if "control" in frame else pd.Series(None, frame.index, dtype=object)
    told = frame.assign(control=named.astype(object).where(named.notna(), "real"))
    null = f"null_{value}" if f"null_{value}" in frame else "null" if value == "value" and "null" in frame else None
    if null is None or frame[null].isna().all():
        return told
    return pd.concat([told, told[named.isna()].assign(control="null", **{value: frame[null]})], ignore_index=True)


def check_best(table: dict, parts: dict[tuple, pd.DataFrame], scale: float, tally: Tally) -> None:
    """What is marked: the least (greatest) of its line, where the interval of its difference to each other is beyond 0."""
    if not table["best"]:
        return
    least, names = " least " in table["caption"], table["col_names"]
    for i, row in enumerate(table["rows"]):
        cells = {j: parts.get((tuple(row), tuple(col))) for j, col in enumerate(table["cols"])}
        means = {
            j: cell(runs, table["value"], scale, bootstrap=False)["mean"]
            for j, runs in cells.items()
            if runs is not None and ("control" not in names or table["cols"][j][names.index("control")] == "real")
        }
        means = {j: mean for j, mean in means.items() if mean is not None}
        if len(means) < 2:
            continue
        first = (min if least else max)(means, key=means.__getitem__)
        marked = all(apart(cells[first], cells[j], table, scale) for j in means if j != first)
        tally.compare("best", f"{table['id']} {row}", str([j for k, j in table["best"] if k == i]), str([first] * marked))


def apart(one: pd.DataFrame, other: pd.DataFrame, table: dict, scale: float) -> bool:
    """Whether the interval of a paired difference leaves out 0."""
    both = in_common(one, other, table["value"], scale)
    low, high = interval(both[0] - both[1], table["definition"]["spread"] == "bootstrap")
    return low is not None and high is not None and (low > 0 or high < 0)


def check_comparison(table: dict, parts: dict[tuple, pd.DataFrame], scale: float, tally: Tally) -> list[tuple[dict, dict, str]]:
    """The lines of a paired comparison, but for Holm's p: what is said, what is found, and where."""
    cols, lines = {" / ".join(key): tuple(key) for key in table["cols"]}, []
    for line, row in zip(table["comparison"]["records"], table["rows"], strict=True):
        two = [parts.get((tuple(row), cols[line[side]])) for side in ("a", "b")]
        there = all(one is not None for one in two)
        mine = compared(*two, table["value"], scale, table["definition"]["spread"] == "bootstrap") if there else {}
        for name, value in mine.items():
            tally.compare("compared", f"{table['id']} {row} {name}", line[name], value, 1e-9 if name == "p" else 0.0)
        lines.append((line, mine, f"{table['id']} {row}"))
    return lines


def complete(data: dict) -> bool:
    """Whether all runs are there, so that expected runs are those of the file."""
    return data["provenance"]["rows"] == data["size"]["runs"]


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
            tally.compare("hours", f"{one['device']} runs", one["runs"], len(mine))
    check_networks(data, done, tally)


def check_networks(data: dict, done: pd.DataFrame, tally: Tally) -> None:
    """Their test accuracies as the runs repeat them, and the least and greatest; of a part of the test images they are others."""
    if "test_images" not in done or "test_images" in data["spec"]:
        print("networks: left out, the runs took other images, or a part of the test images")
        return
    sides = [side for side in ("front", "end") if f"{side}_accuracy" in done]
    rows = [done[[f"{side}_network", f"{side}_accuracy"]].set_axis(["run_id", "accuracy"], axis=1) for side in sides]
    told = pd.concat(rows).dropna().groupby("run_id")["accuracy"].agg(["min", "max"]) if rows else pd.DataFrame()
    for one in data["networks"]:
        if one["run_id"] in told.index:
            for end in ("min", "max"):
                tally.compare("networks", one["run_id"], one["accuracy"], float(told[end][one["run_id"]]))
    if len(data["kinds"]) == 1 and len(told) == data["kinds"][0]["networks"]:
        tally.compare("networks", "least accuracy", data["kinds"][0]["accuracy_low"], float(told["min"].min()))
        tally.compare("networks", "greatest accuracy", data["kinds"][0]["accuracy_high"], float(told["max"].max()))


def main(report: Path, tidy: Path) -> int:
    """Compare, and say how many numbers there were and how far off the farthest was."""
    page = report.read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])
    frame, tally = shares(pd.read_parquet(tidy)), Tally()
    cells = check_tables(data, frame, tally)
    check_head(page, data, frame[frame["outcome"] != MISSING], tally)
    check_words(page, data, cells, tally)
    check_comparison_words(page, data, tally)
    check_figures(page, cells, tally)
    check_rest(data, frame, tally)
    for line in tally.wrong[:20]:
        print(line)
    parts = ", ".join(f"{count:,} {kind}" for kind, count in tally.count.items())
    print(f"{sum(tally.count.values()):,} numbers compared ({parts}): {len(tally.wrong)} differ")
    print(f"largest relative deviation {tally.worst:.1e}")
    return 1 if tally.wrong or not cells else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

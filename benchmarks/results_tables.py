"""Owns the timing of tables from a million rows: whole processes of `repsim results table`, with their peak memory.

    python benchmarks/results_tables.py                    the project is made in a temporary folder
    python benchmarks/results_tables.py --filled FOLDER    the project is made there, or was before

Two cases: a sweep of a hundred thousand runs whose rows lie among a million in the store, and a tidy file of a million runs, as
`results aggregate` writes it. Rows are made up, numbers and all, of the runs of real sweeps: layers, cases, pairs and seeds are
theirs. Every command is a process of its own, timed from its start to its end, imports included.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import orchestration
import orchestration_project as projects

from repsim import store, tidy, written
from repsim.project import Project
from repsim.sweep.expand import Run, Sweep, open_sweep
from repsim.sweep.run import values

PART = 100_000  # rows of a part, as compaction leaves them
WIDE = "wide"
COMMANDS = {
    "sweep of {runs} runs, {rows} rows stored": ["big"],
    "the same, bootstrap, best and a comparison": ["big", "--spread", "bootstrap", "--compare", "linear random,matched"],
    "the same, a page for each of {seeds} seeds": ["big", "--pages", "seed"],
    "tidy file of {rows} runs": ["{file}"],
    "the same, bootstrap, best and a comparison of all": ["{file}", "--spread", "bootstrap", "--compare", "linear random,matched"],
    "the same, of the residual, two cases": ["{file}", "--value", "residual", "--where", "case=linear*"],
}


def main() -> None:
    """Time every case and write the result."""
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="repsim-", dir="/tmp") as temporary:
        project = Project(args.filled or Path(temporary) / "filled")
        file = project.results / "aggregate" / f"{WIDE}.parquet"
        if not file.is_file():
            _fill(project.root, file, args)
        shapes = {"runs": f"{_runs(args, args.seeds):,}", "rows": f"{args.rows:,}", "seeds": args.seeds, "file": str(file)}
        found = {}
        for name, words in COMMANDS.items():
            given = ["results", "table", *(word.format(**shapes) for word in words)]
            found[name.format(**shapes)] = orchestration._timed(given, project, args.repeats)
    print(_write(args, found))


def _runs(args: argparse.Namespace, seeds: int) -> int:
    return args.networks * (args.networks - 1) * 8 * 5 * seeds


def _fill(folder: Path, file: Path, args: argparse.Namespace) -> None:
    """The store: all runs of `big`, then others until there are so many; the file: runs of the same sweep with more seeds."""
    project = projects.make(folder, args.networks, args.seeds)
    sweep = projects.opened(project)
    projects.train(project, sweep)
    wide = project.sweeps / f"{WIDE}.yaml"
    many = args.rows // _runs(args, 1)  # as a sweep holds a million runs at most
    wide.write_text(projects.SWEEP.format(profile="testcluster", last=args.networks - 1, seeds=many - 1))
    large = open_sweep(wide, project)
    runs = [*large.runs, *large.runs[: args.rows - len(large.runs)]]
    ids = [run.id for run in large.runs] + [f"more{number:08d}" for number in range(args.rows - len(large.runs))]
    place = project.store / "job=stitch" / "dataset=digits"
    place.mkdir(parents=True, exist_ok=True)
    parts = [_rows(large, ids[start : start + PART], runs[start : start + PART], start) for start in range(0, args.rows, PART)]
    for number, part in enumerate(parts):
        written.write_part(part, place / f"part{number}.parquet")
    _aggregate(large, parts, [run.labels["case"] for run in runs], file)


def _rows(sweep: Sweep, ids: list[str], runs: list[Run], seed: int) -> Any:
    """Rows of these runs: what was asked of each, and numbers that depend on the networks, with noise."""
    import pyarrow as pa

    job, drawn = sweep.jobs["stitch"], np.random.default_rng(seed)
    config = job.config.model_fields
    effects = {name: drawn.normal(0, 0.01) for name in sorted(set(values(runs, "front_network")))}
    base = np.array([effects[name] for name in values(runs, "front_network")]) + drawn.normal(0.1, 0.02, len(runs))
    said = {"run_id": ids, "outcome": "ok", "device": "cpu", "job": "stitch", "started": "2026-01-01T00:00:00"}
    first = {pa.string(): "ok", pa.int64(): 1, pa.bool_(): True}
    columns = []
    for field in store.schema_of(job):
        one: Any = said.get(field.name, first.get(field.type))
        if field.name in config and field.name not in job.row.model_fields:
            one = list(values(runs, field.name))
        elif field.type == pa.float64():
            one = base + drawn.normal(0, 0.005, len(runs))
        columns.append(pa.array(one if isinstance(one, list | np.ndarray) else [one] * len(runs), field.type))
    return pa.table(columns, store.schema_of(job))


def _aggregate(sweep: Sweep, parts: list[Any], cases: list[str], file: Path) -> None:
    """What `results aggregate` writes, made of the same rows."""
    import pyarrow as pa

    job = sweep.jobs["stitch"]
    table, entries = pa.concat_tables(parts), tidy.dictionary.of(job)
    table = table.append_column("case", pa.array(cases, pa.string()))
    facts = {**tidy._facts(sweep, job, table, len(table)), "runs_expected": len(table)}
    tidy.write(tidy.Tidy(tidy._noted(table, entries), entries, facts), file)


def _write(args: argparse.Namespace, found: dict[str, orchestration.Timed]) -> Path:
    import machine  # needs torch: only now, as a child's peak counts from the memory of its parent

    hidden = [args.out, *([args.filled] if args.filled else [])]
    lines = [
        "# Tables from a million rows",
        "",
        machine.described("cpu"),
        "",
        f"`{machine.command(hidden)}` (folders left out). Whole processes of `repsim results table`, imports included; peak is the "
        "largest resident memory. Other work ran on the machine: CPU seconds are nearer to what a command takes alone than",
        f"wall-clock seconds. Stitches between {args.networks} networks at 8 layers, 5 cases; rows with all columns of the job, "
        "numbers made up. The runs of the sweep were expanded before.",
        "",
        "| table | wall s, least | CPU s, least | peak MB | n | goal |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {name} | {one.wall:.2f} | {one.cpu:.2f} | {one.memory_mb} | {one.times} | 5 s |" for name, one in found.items()]
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "results_tables_cpu.md"
    path.write_text("\n".join([*lines, ""]))
    return path


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=20, help="runs are their pairs × 8 layers × 5 cases × seeds")
    parser.add_argument("--seeds", type=int, default=7, help="of the sweep whose rows lie in the store")
    parser.add_argument("--rows", type=int, default=1_000_000, help="in the store, and in the file")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--filled", type=Path, help="folder of the project, kept for the next time")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="folder of the Markdown file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""Owns the timing of orchestration: whole processes of `repsim` on large sweeps, and runs in a pack beside one process per run.

    python benchmarks/orchestration.py                 all cases; those of Slurm on a cluster of slurm/testcluster of its own
    python benchmarks/orchestration.py --no-slurm      help, plan and status alone
    python benchmarks/orchestration.py --filled FOLDER the large project is made there, or was before

Every command is a process of its own, timed from its start to its end, imports included; the least of the repetitions is told, as
others may use the machine, and the least of its CPU seconds beside it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import orchestration_packs as packs
import orchestration_project as projects

from repsim import submission
from repsim.project import Project

CLUSTER = projects.ROOT / "slurm" / "testcluster"
REPSIM = [sys.executable, "-c", "from repsim.cli.main import main; main()"]


@dataclass(frozen=True)
class Timed:
    """The least wall-clock and CPU seconds of a command, its largest peak memory, and how often it was given."""

    wall: float
    cpu: float
    memory_mb: int
    times: int


def main() -> None:
    """Time every case and write the result."""
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="repsim-", dir="/tmp") as temporary:
        found = _here(args, Path(temporary))
        if not args.no_slurm:
            with _cluster():
                found |= {"submit of {submitted} runs": _submit(args, Path(temporary))}
                found |= packs.compared(args, Path(temporary))
    import orchestration_report  # needs torch: only now, as a child's peak counts from the memory of its parent

    print(orchestration_report.write(args, found))


def _here(args: argparse.Namespace, temporary: Path) -> dict[str, object]:
    """What needs no cluster."""
    project = Project(args.filled or temporary / "filled")
    if not project.store.is_dir():
        projects.full(project.root, args)
    projects.reopen(project)
    args.submissions = len(list(project.submissions.glob("repsim-*")))
    shutil.rmtree(project.cache / "expanded", ignore_errors=True)
    return {
        "plan of {runs} runs that were never formed before, {rows} rows stored": _timed(["sweep", "plan", "big"], project, 1),
        "--help": _timed(["--help"], project, 2 * args.repeats),
        "sweep status --help": _timed(["sweep", "status", "--help"], project, 2 * args.repeats),
        "sweep --help": _timed(["sweep", "--help"], project, 2 * args.repeats),
        "plan of {runs} runs, {rows} rows stored": _timed(["sweep", "plan", "big"], project, args.repeats),
        "status of {runs} runs, {rows} rows stored": _timed(["sweep", "status", "big"], project, args.repeats),
    }


def _submit(args: argparse.Namespace, temporary: Path) -> Timed:
    """Once: what was sent is not sent again. The nodes are drained, so that nothing begins meanwhile."""
    project = projects.make(temporary / "sent", args.networks, 1)
    sweep = projects.opened(project)
    projects.train(project, sweep)
    subprocess.run(["scontrol", "update", "nodename=n[1-4]", "state=drain", "reason=timing"], check=True)
    timed = _timed(["sweep", "submit", "big", "--yes"], project, 1)
    known = submission.every(project.submissions)
    sent = {run["id"] for one in known if one.sent for task in one.outline for group in task for run in group["runs"]}
    assert sent == {run.id for run in sweep.runs}, f"{len(sent)} of {len(sweep.runs)} runs were sent; see {project.root}"
    subprocess.run(["scancel", "--user", str(os.getuid())], check=True)
    subprocess.run(["scontrol", "update", "nodename=n[1-4]", "state=resume"], check=True)
    return timed


def _timed(words: Sequence[str], project: Project, times: int) -> Timed:
    """`repsim WORDS` in the project."""
    walls, cpus, peaks = [], [], []
    for _ in range(times):
        started = perf_counter()
        child = subprocess.Popen([*REPSIM, *words], cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        walls.append(perf_counter() - started)
        assert status == 0, f"repsim {' '.join(words)} left with {status}"
        cpus.append(used.ru_utime + used.ru_stime)
        peaks.append(used.ru_maxrss // 1024)
    print(f"{' '.join(words)}: {min(walls):.2f} s", file=sys.stderr)
    return Timed(min(walls), min(cpus), max(peaks), times)


@contextmanager
def _cluster() -> Iterator[None]:
    """Four nodes, up as long as they are needed."""
    with tempfile.TemporaryDirectory(prefix="repsim-", dir="/tmp") as folder:
        up = subprocess.run([sys.executable, CLUSTER / "up", folder], check=True, capture_output=True, text=True)
        os.environ["SLURM_CONF"] = up.stdout.strip().removeprefix("export SLURM_CONF=")
        try:
            yield
        finally:
            subprocess.run([sys.executable, CLUSTER / "down", folder], check=True, capture_output=True)
            del os.environ["SLURM_CONF"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=20, help="runs are their pairs × 8 layers × 5 stitchers × seeds")
    parser.add_argument("--seeds", type=int, default=7, help="of the large sweep; the one that is submitted has one")
    parser.add_argument("--rows", type=int, default=1_000_000, help="stored in all")
    parser.add_argument("--submissions", type=int, default=100)
    parser.add_argument("--packed", type=int, default=200, help="runs in the larger of two packs; the other has a tenth")
    parser.add_argument("--alone", type=int, default=10, help="runs with a process each")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-slurm", action="store_true", help="leave out what needs a cluster")
    parser.add_argument("--filled", type=Path, help="folder of the large project, kept for the next time")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="folder of the Markdown file")
    return parser.parse_args()


if __name__ == "__main__":
    main()

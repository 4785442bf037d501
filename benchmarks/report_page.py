"""Times `repsim results report` on a sweep of many runs, as a whole process, with its peak memory; writes what it printed.

python benchmarks/report_page.py                      10,800 runs
python benchmarks/report_page.py --seeds 25 --out X   other sizes
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orchestration_project as projects

ROOT = Path(__file__).parents[1]
PART = 1000  # runs of a part
NETWORKS = 6  # 30 ordered pairs, 8 layers and 5 stitchers: 1,200 runs for each seed


def main() -> None:
    """Make the project, report it several times, and say the median."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seeds", type=int, default=9)
    asked.add_argument("--repeats", type=int, default=3)
    asked.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "report_page_cpu.md")
    args = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="repsim-report-") as folder:
        runs = _filled(Path(folder), args.seeds)
        found = [_timed(Path(folder)) for _ in range(args.repeats)]
        size = (Path(folder) / "results" / "reports" / "big.html").stat().st_size
    seconds, memory = statistics.median(one[0] for one in found), max(one[1] for one in found)
    each = ", ".join(f"{one[0]:.1f}" for one in found)
    text = (
        f"# A report of {runs:,} runs\n\n"
        f"`python benchmarks/report_page.py --seeds {args.seeds}`, whole process, everything stored, on {os.cpu_count()} CPU cores "
        f"({platform.machine()}, Python {platform.python_version()}), other work beside it.\n\n"
        f"| runs | seconds (median of {len(found)}) | each | peak memory | page |\n|---:|---:|---|---:|---:|\n"
        f"| {runs:,} | {seconds:.1f} | {each} | {memory:.2f} GB | {size / 1e6:.2f} MB |\n"
    )
    print(text)
    args.out.write_text(text)


def _filled(folder: Path, seeds: int) -> int:
    project = projects.make(folder, NETWORKS, seeds)
    sweep = projects.opened(project)
    projects.train(project, sweep)
    for start in range(0, len(sweep.runs), PART):
        runs = sweep.runs[start : start + PART]
        projects.publish(project, sweep, "stitch", [run.id for run in runs], runs, f"part{start}")
    return len(sweep.runs)


def _timed(folder: Path) -> tuple[float, float]:
    """Seconds and peak resident memory in GB of one report."""
    code = "from repsim.cli.main import main; main()"
    started = time.perf_counter()
    command = [sys.executable, "-c", code, "--project", str(folder), "results", "report", "big"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    seconds = time.perf_counter() - started
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6


if __name__ == "__main__":
    main()

"""Owns the comparison: the classical way of stitching against repsim, side by side in one run, written as Markdown.

    python benchmarks/stitching.py --zoo FOLDER --data FOLDER [--case a] [--full] [--device cuda --arch resnet20]

Every stitcher of the classical side is a process of its own, every case of repsim's one process; whole processes are timed, their
imports included. They run one at a time, each with the whole machine and as many threads as it likes.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes
import subjects
from subjects import Case, Stitch

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Timed:
    """What one process printed, and its seconds (`processes.Done`)."""

    wall: float
    cpu: float
    accuracy: dict[str, float]
    seconds: dict[str, float]
    memory_mb: int


@dataclass(frozen=True)
class Compared:
    """Both sides of one case; the classical side for the stitchers of a sample, repsim's for all, perhaps several times."""

    case: Case
    classical: dict[Stitch, Timed]
    ours: list[Timed]


def main() -> None:
    """Run the cases asked for and write the result."""
    args = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        artefacts = Path(folder)
        _lay_out(args, artefacts)
        _warm_up(args, artefacts)
        every = subjects.cases(subjects.SUBJECTS[args.arch])
        compared = [_compare(args, every[name], artefacts) for name in args.case or every]
    import report  # needs torch: only now, so that the timed processes have the memory

    print(report.write(args, compared))


def _compare(args: argparse.Namespace, case: Case, artefacts: Path) -> Compared:
    """repsim first and again between the classical runs: both sides see the machine at all times."""
    todo = case.stitches if args.full else case.sample
    classical: dict[Stitch, Timed] = {}
    ours: list[Timed] = []
    for position, each in enumerate(todo):
        if position * args.repeats // len(todo) >= len(ours):
            ours.append(_ours(args, case, artefacts))
        classical[each] = _classical(args, each)
    while len(ours) < args.repeats:
        ours.append(_ours(args, case, artefacts))
    return Compared(case, classical, ours)


def _ours(args: argparse.Namespace, case: Case, artefacts: Path) -> Timed:
    return _timed("ours.py", args, "--artefacts", artefacts, "--case", case.name, "--precision", args.precision)


def _classical(args: argparse.Namespace, each: Stitch) -> Timed:
    return _timed("classical.py", args, "--zoo", args.zoo, "--layer", each.layer, "--seed", each.seed)


def _timed(script: str, args: argparse.Namespace, *more: Any) -> Timed:
    common = ["--arch", args.arch, "--device", args.device, "--cache", args.cache]
    done = processes.run(script, [*common, *(part for folder in args.data for part in ("--data", folder)), *more])
    return Timed(done.wall, done.cpu, **done.said)


def _lay_out(args: argparse.Namespace, artefacts: Path) -> None:
    """Put both networks where runs of repsim find them: what an import does, once per network."""
    from repsim.models import checkpoint

    subject = subjects.SUBJECTS[args.arch]
    for name, file in (("front", subject.front), ("end", subject.end)):
        (artefacts / name).mkdir()
        checkpoint.save(subjects.read(subject.arch, args.zoo / file), artefacts / name / "network.pt", {})


def _warm_up(args: argparse.Namespace, artefacts: Path) -> None:
    """Decode the data set once, for both sides, and let the system read all libraries into memory."""
    first = subjects.cases(subjects.SUBJECTS[args.arch])["a"]
    _ours(args, first, artefacts)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, required=True, help="folder with Tiny10/CIFAR10/in4-gn4/110000.pt …")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder that holds the data set")
    parser.add_argument("--cache", type=Path, default=HERE.parent / "results" / "cache" / "data", help="for the decoded data set")
    parser.add_argument("--arch", choices=subjects.SUBJECTS, default="tiny10")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of the frozen networks, on repsim's side")
    parser.add_argument("--case", choices=["a", "b", "c"], action="append", help="default: all three")
    parser.add_argument("--full", action="store_true", help="run the classical side for every stitcher, not for a sample")
    parser.add_argument("--repeats", type=int, default=1, help="runs of repsim's side per case, spread over the classical ones")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the Markdown file")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Owns the comparison of trainings: the classical loop against repsim, side by side in one run, written as Markdown.

    python benchmarks/zoo.py --data FOLDER [--subject mcnn16] [--device cuda --subject resnet20 --together 1 8 16]

The classical loop trains one network per process: Pillow transforms in a DataLoader, fp32. repsim trains the same network with
the same optimiser from uint8 tensors, in bf16 and channels-last order (--precision fp32: as the classical loop): one network with
the whole machine; on a CPU one network per core at once, as `sweep run` does; and several seeds stacked in one process.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import processes
from trainings import BATCH, LR, SUBJECTS

HERE = Path(__file__).parent
GOALS = {("cpu", "tiny10"): 3, ("cpu", "mcnn16"): 3, ("cuda", "resnet20"): 10}


@dataclass(frozen=True)
class Way:
    """One way of training, measured: images per second of training alone and of whole processes, all networks together."""

    name: str
    networks: int
    pace: list[float]
    whole: list[float]
    accuracy: list[float]
    memory_mb: int


def main() -> None:
    """Measure every subject in every way and write the result."""
    args = _arguments()
    measured = {subject: _measure(args, subject) for subject in args.subject or ("tiny10", "mcnn16")}
    import machine  # needs torch: only now, so that the timed processes have the memory

    text = "\n".join([*_head(args, machine), *(line for name, ways in measured.items() for line in _table(args, name, ways))])
    path = args.out / f"zoo_{args.device}_{args.precision}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")
    print(path)


def _measure(args: argparse.Namespace, subject: str) -> list[Way]:
    """Every way in turn, as often as asked: all of them see the machine at all times."""
    ours = [["--precision", args.precision, "--together", k] for k in args.together]
    found: dict[str, list[tuple[float, list[dict[str, Any]]]]] = {}
    for _ in range(args.repeats):
        found.setdefault("classical", []).append(_beside(args, "classical_training.py", subject, [[]], None))
        for words in ours:
            name = "repsim, one network" if words[-1] == 1 else f"repsim, {words[-1]} networks stacked in one process"
            found.setdefault(name, []).append(_beside(args, "our_training.py", subject, [words], None))
        if args.device == "cpu" and (cores := len(os.sched_getaffinity(0))) > 1:
            each = [["--precision", args.precision, "--seed", k] for k in range(cores)]
            found.setdefault(f"repsim, {cores} networks in {cores} processes", []).append(
                _beside(args, "our_training.py", subject, each, 1)
            )
    return [_way(name, runs) for name, runs in found.items()]


def _beside(
    args: argparse.Namespace, script: str, subject: str, each: Sequence[Sequence[Any]], threads: int | None
) -> tuple[float, list[dict[str, Any]]]:
    common = [
        "--subject",
        subject,
        "--device",
        args.device,
        "--cache",
        args.cache,
        "--images",
        args.images,
        "--epochs",
        args.epochs,
    ]
    common += [part for folder in args.data for part in ("--data", folder)]
    return processes.beside(script, [[*common, *words] for words in each], threads)


def _way(name: str, runs: Sequence[tuple[float, list[dict[str, Any]]]]) -> Way:
    """A process that trains longest says how long the training of all took."""
    images = [sum(one["images"] for one in said) for _, said in runs]
    return Way(
        name,
        sum(len(one["accuracy"]) for one in runs[0][1]),
        [n / max(one["train_s"] for one in said) for n, (_, said) in zip(images, runs, strict=True)],
        [n / wall for n, (wall, _) in zip(images, runs, strict=True)],
        [accuracy for one in runs[0][1] for accuracy in one["accuracy"]],
        max(sum(one["memory_mb"] for one in said) for _, said in runs),
    )


def _head(args: argparse.Namespace, machine: Any) -> list[str]:
    return [
        f"# Training, classical loop against repsim, on {args.device}, {args.precision}",
        "",
        machine.described(args.device),
        "",
        f"`{machine.command([*args.data, args.out])}` (folders left out). "
        f"{args.images} training images of CIFAR-10, {args.epochs} epochs, batch {BATCH}, SGD with Nesterov momentum at {LR}, crop "
        "and flip; scored on all 10,000 test images. Images per second of training: from the first step to the last, all networks "
        "together; of whole processes: imports, data and scoring included. "
        f"Median of {args.repeats} runs, and their range; all ways were run in turn.",
        "",
    ]


def _table(args: argparse.Namespace, subject: str, ways: Sequence[Way]) -> list[str]:
    goal = GOALS.get((args.device, subject))
    lines = [
        f"## {subject}" + (f" (goal: {goal}×)" if goal else ""),
        "",
        "| way | networks | images/s | range | ratio | whole processes, images/s | ratio | test accuracy (mean) | MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    base = ways[0]
    for way in ways:
        pace, whole = _middle(way.pace), _middle(way.whole)
        span = f"{min(way.pace):,.0f}–{max(way.pace):,.0f}"
        lines.append(
            f"| {way.name} | {way.networks} | {pace:,.0f} | {span} | {pace / _middle(base.pace):.1f}× | {whole:,.0f} | "
            f"{whole / _middle(base.whole):.1f}× | {mean(way.accuracy):.3f} | {way.memory_mb:,} |"
        )
    return [*lines, ""]


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder that holds the data set")
    parser.add_argument("--cache", type=Path, default=HERE.parent / "results" / "cache" / "data", help="for the decoded data set")
    parser.add_argument("--subject", choices=SUBJECTS, action="append", help="default: tiny10 and mcnn16")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16", help="of training, on repsim's side")
    parser.add_argument("--together", type=int, nargs="+", default=[1, 4], help="networks stacked in one process")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the Markdown file")
    return parser.parse_args()


if __name__ == "__main__":
    main()

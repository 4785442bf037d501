"""Owns one way of comparing two networks layer by layer, in a process of its own: what it found, seconds, memory."""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import compared
import our_comparing
import plain
import torch
from compared import SUBJECTS, Batches, Indices, Replayed
from peers import PEERS
from torch import Tensor

from repsim.data.images import Images
from repsim.models import allocator

WARM = 2  # batches that are compared before the clock starts: libraries choose their kernels at first use
OURS = {"repsim, minibatch": True, "repsim, exact": False}
THEIRS: dict[str, Callable[..., Tensor]] = {**PEERS, "loop": plain.loop, "reference": plain.reference}


@dataclass(frozen=True)
class Task:
    """What a way is given: networks or their features, images, and the size of a batch."""

    modules: tuple[Any, Any]
    values: tuple[Any, Any] | None
    names: list[str]
    images: Images
    batch: int
    device: str


def main() -> None:
    """Compare once to warm up and once to be timed; one JSON line on stdout."""
    args = _arguments()
    allocator.keep_freed_memory(args.device)
    task = _task(args)
    before = _begin_peak(args.device)
    _compare(args.way, _part(task, WARM * args.batch))
    started = _now(args.device)
    matrix, told = _compare(args.way, task)
    seconds = _now(args.device) - started
    said = {"seconds": seconds, "before_mb": before, "peak_mb": _peak_mb(args.device), "matrix": matrix, **told}
    print(json.dumps({**said, "layers": task.names}))


def _compare(way: str, task: Task) -> tuple[list[list[float]] | None, dict[str, Any]]:
    """The matrix, and what else there is to tell; no matrix where a package came to no number."""
    if way in OURS:
        found = _ours(task, OURS[way])
        return found.matrix.tolist(), {"plan": found.plan.as_dict(), "lines": found.plan.lines(), "passes": dict(found.seconds)}
    size = len(task.images) if way == "reference" and task.batch == 0 else task.batch
    batches = Indices(len(task.images), size) if task.values else Batches(task.images, size)
    names = compared.module_names(task.modules[0], task.names)
    try:
        return THEIRS[way](*task.modules, names, batches, task.device).tolist(), {}
    except AssertionError as error:
        return None, {"failed": str(error)}


def _ours(task: Task, minibatch: bool) -> our_comparing.Found:
    batch = task.batch if minibatch else None
    if task.values:
        return our_comparing.of_features(*task.values, len(task.images), batch)
    return our_comparing.of_networks(*task.modules, task.names, task.images, batch)


def _task(args: argparse.Namespace) -> Task:
    front, end = compared.networks(SUBJECTS[args.subject], args.zoo, args.device)
    names, images = compared.layers(front), compared.stream(args.data, args.cache, args.images, args.device)
    if args.input == "networks":
        return Task((front, end), None, names, images, args.batch, args.device)
    values = compared.replayed(front, names, images), compared.replayed(end, names, images)
    return Task((Replayed(values[0]), Replayed(values[1])), values, names, images, args.batch, args.device)


def _part(task: Task, count: int) -> Task:
    """The same of the first images alone."""
    images = task.images.subset(torch.arange(min(count, len(task.images)) or len(task.images)))
    return Task(task.modules, task.values, task.names, images, task.batch, task.device)


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return perf_counter()


def _begin_peak(device: str) -> int:
    """Forget the peak so far; what is held now, in MB, on the GPU or of the whole process."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() // 2**20
    Path("/proc/self/clear_refs").write_text("5")  # as Linux has it: the peak is what is resident now
    return _resident_mb("VmRSS")


def _peak_mb(device: str) -> int:
    return torch.cuda.max_memory_allocated() // 2**20 if device == "cuda" else _resident_mb("VmHWM")


def _resident_mb(name: str) -> int:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) // 1024


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=[*OURS, *THEIRS], required=True)
    parser.add_argument("--input", choices=["features", "networks"], required=True)
    parser.add_argument("--subject", choices=SUBJECTS, default="tiny10")
    parser.add_argument("--zoo", type=Path, help="folder of the published networks")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder that holds the data set")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the decoded data set")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True, help="images of a batch; 0 for the reference: all at once")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Owns the Markdown of a comparison: the machine, the rates and their ratio, the accuracies, and the memory bound."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import bound
import machine
import subjects
import torch

from repsim.models.network import Network

if TYPE_CHECKING:
    from stitching import Compared

GOALS = {("cpu", "a"): 4, ("cpu", "b"): 8, ("cpu", "c"): 12, ("cuda", "c"): 50}
PACKED = 8 * subjects.BATCH


def write(args: argparse.Namespace, compared: Sequence["Compared"]) -> Path:
    """Write the report to a file named after device, architecture and precision; returns its path."""
    text = "\n".join([*_head(args), *_rates(args, compared), *_accuracies(compared), *_bound(args, compared), ""])
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"stitching_{args.device}_{args.arch}_{args.precision}.md"
    path.write_text(text)
    return path


def _head(args: argparse.Namespace) -> list[str]:
    return [
        f"# Stitching, classical way against repsim: {args.arch} on {args.device}, {args.precision}",
        "",
        machine.described(args.device),
        "",
        f"`{machine.command([args.zoo, *args.data, args.out])}` (folders left out). Linear stitchers from random starts, "
        f"{subjects.EPOCHS} epochs on {subjects.TRAIN_IMAGES} training images of CIFAR-10, batch {subjects.BATCH}, Adam "
        f"{subjects.LR}, accuracy of the last epoch on all {subjects.TEST_IMAGES} test images. Whole processes are timed, "
        "imports included.",
        "",
    ]


def _rates(args: argparse.Namespace, compared: Sequence["Compared"]) -> list[str]:
    """Stitchers per hour; the classical side's time per stitcher is the mean of those that were run."""
    lines = [
        "| case | stitchers | classical runs | classical s/stitcher | classical per hour | repsim s | repsim per hour | ratio "
        "| goal | ratio of CPU seconds | classical MB | repsim MB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in compared:
        count, run = len(each.case.stitches), len(each.classical)
        alone = mean(timed.wall for timed in each.classical.values())
        ours = mean(timed.wall for timed in each.ours)
        busy = mean(timed.cpu for timed in each.classical.values()) * count / mean(timed.cpu for timed in each.ours)
        goal = GOALS.get((args.device, each.case.name))
        memory = max(timed.memory_mb for timed in each.classical.values()), max(timed.memory_mb for timed in each.ours)
        lines.append(
            f"| {each.case.name}: {each.case.text} | {count} | {run} of {count} | {alone:.1f} | {3600 / alone:.0f} | {ours:.1f} | "
            f"{3600 * count / ours:.0f} | {alone * count / ours:.1f}× | {f'{goal}×' if goal else '–'} | "
            f"{busy:.1f}× | {memory[0]} | {memory[1]} |"
        )
    few = any(len(each.classical) < len(each.case.stitches) for each in compared)
    note = "Where not all stitchers were run the classical way, the mean of those that were is multiplied up. " if few else ""
    return [*lines, "", note + _parts(compared), ""]


def _parts(compared: Sequence["Compared"]) -> str:
    """Where the time of a process went, on both sides of the last case."""
    last = compared[-1]
    sides = (("classical", [*last.classical.values()]), ("repsim", last.ours))
    texts = [
        f"{side} " + ", ".join(f"{part} {mean(timed.seconds[part] for timed in runs):.1f} s" for part in runs[0].seconds)
        for side, runs in sides
    ]
    return f"Case {last.case.name}, mean per process: {'; '.join(texts)}."


def _accuracies(compared: Sequence["Compared"]) -> list[str]:
    lines, largest = ["| case | layer, seed | classical | repsim | difference in points |", "|---|---|---|---|---|"], 0.0
    for each in compared:
        for stitch, timed in each.classical.items():
            key = f"{stitch.layer} {stitch.seed}"
            theirs, ours = timed.accuracy[key], each.ours[0].accuracy[key]
            largest = max(largest, abs(ours - theirs))
            lines.append(f"| {each.case.name} | {key} | {theirs:.4f} | {ours:.4f} | {100 * (ours - theirs):+.2f} |")
    return [*lines, "", f"Largest difference: {100 * largest:.2f} points.", ""]


def _bound(args: argparse.Namespace, compared: Sequence["Compared"]) -> list[str]:
    """Beside the time of every suffix, the time in which the device could move its bytes; and the same for whole cases."""
    subject = subjects.SUBJECTS[args.arch]
    network = _frozen(subjects.read(subject.arch, args.zoo / subject.end), args.device)
    speed, steps = bound.bandwidth(args.device), bound.steps(network, subject.layers, PACKED)
    lines = [
        f"Memory: a copy moves {speed / 1e9:.1f} GB/s. Forward and backward of the fused suffix in fp32, {PACKED} images at once, "
        "every tensor and every gradient written once and read once:",
        "",
        "| layer | kB per image | bound µs per image | measured µs per image | ratio |",
        "|---|---|---|---|---|",
    ]
    for layer, step in steps.items():
        least = step.bytes / speed
        cells = f"{step.bytes / 1e3:.0f} | {1e6 * least:.2f} | {1e6 * step.seconds:.2f} | {step.seconds / least:.1f}×"
        lines.append(f"| {layer} | {cells} |")
    trained = subjects.EPOCHS * subjects.TRAIN_IMAGES
    for each in compared:
        least = sum(steps[stitch.layer].bytes for stitch in each.case.stitches) * trained / speed
        ours = mean(timed.wall for timed in each.ours)
        lines += [
            "",
            f"Case {each.case.name}: bound of its training steps {least:.1f} s, whole process {ours:.1f} s, {ours / least:.1f}×.",
        ]
    return lines


def _frozen(network: Network, device: str) -> Network:
    return network.requires_grad_(False).to(device).to(memory_format=torch.channels_last)

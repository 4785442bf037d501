"""Owns the Markdown of the comparison of similarities: seconds, ratios, memory, how far the numbers are from right, and bounds."""

import argparse
from collections.abc import Sequence
from math import inf
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import machine
import torch
from peers import VERSIONS

from repsim.similarity.walk import full_precision

if TYPE_CHECKING:
    from similarity import Case

GOALS = {"torch-cka": 10, "pytorch-cka": 2}
MINIBATCH, EXACT = "repsim, minibatch", "repsim, exact"
ABOUT = {
    MINIBATCH: "minibatch, fp32, sums fp64",
    EXACT: "exact over all images",
    "torch-cka": "minibatch, fp32, with autograd",
    "pytorch-cka": "minibatch, fp32, clamped to [0, 1]",
    "loop": "minibatch, fp32, every pair anew",
}
TOLERANCE = 1e-4  # of ours to what is right in double precision
INPUTS = {"features": "Stored features", "networks": "End to end: both networks run on the images"}
TIMED, SIDE = 5, 4096  # products of square matrices that measure what the device can do


def write(args: argparse.Namespace, cases: Sequence["Case"], whole: Sequence[dict[str, Any]]) -> Path:
    """Write the report to a file named after device and subject; returns its path."""
    lines = [*_head(args), *(line for case in cases for line in _case(case)), *(_whole(args, whole) if whole else [])]
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"similarity_{args.device}_{args.subject}.md"
    path.write_text("\n".join(lines).rstrip() + "\n")
    return path


def _head(args: argparse.Namespace) -> list[str]:
    peers = ", ".join(f"{name} {version}" for name, version in VERSIONS.items())
    folders = [*args.data, args.cache, *filter(None, (args.zoo, args.peers)), args.out]
    threads = {None: "as many threads as it likes", 1: "one thread"}.get(args.threads, f"{args.threads} threads")
    return [
        f"# CKA of all pairs of layers: {args.subject} on {args.device}",
        "",
        f"{machine.described(args.device).removesuffix('.')}, {peers}.",
        "",
        f"`{machine.command(folders)}` (folders left out). Two networks, the same test images of CIFAR-10 in the same batches of "
        f"{args.batch}. Every way is a process of its own with {threads}, warmed up by two batches; seconds are of the comparison "
        f"alone, without imports and reading; median of {args.repeats} runs and their range, all ways in turn (the loop once). "
        "Peak memory is of the process, and how much of it came with the comparison. Error: the largest difference from the same "
        "estimate in double precision.",
        "",
    ]


def _case(case: "Case") -> list[str]:
    ours = median(run["seconds"] for run in case.said[MINIBATCH])
    layers = len(case.minibatch["layers"])
    lines = [
        f"## {INPUTS[case.input]}: {layers} × {layers} layers, {case.images:,} images",
        "",
        "| way | what it computes | seconds | range | ratio | goal | whole process, s | peak MB | of it for comparing | error |",
        "|---|---|---:|---|---:|---:|---:|---:|---:|---:|",
        *(_line(case, way, ours) for way in case.said),
        "",
    ]
    if (error := _error(case, MINIBATCH)) > TOLERANCE:
        lines += [f"repsim is off by more than {TOLERANCE:g}: {error:.1e}.", ""]
    return lines


def _line(case: "Case", way: str, ours: float) -> str:
    runs = case.said[way]
    seconds = sorted(run["seconds"] for run in runs)
    ratio = median(seconds) / ours
    goal = f"{GOALS[way]}×" if way in GOALS else "–"
    peak = max(run["peak_mb"] for run in runs)
    more = max(run["peak_mb"] - run["before_mb"] for run in runs)
    cells = [way, ABOUT[way], f"{median(seconds):.2f}", f"{seconds[0]:.2f}–{seconds[-1]:.2f}", f"{ratio:.1f}×", goal]
    cells += [f"{median(run['wall'] for run in runs):.1f}", f"{peak:,}", f"{more:,}", _said(_error(case, way), runs[0])]
    return f"| {' | '.join(cells)} |"


def _error(case: "Case", way: str) -> float:
    """Largest difference to double precision; infinite where a way came to no number."""
    right = case.exact if way == EXACT else case.minibatch
    matrix = case.said[way][0]["matrix"]
    if matrix is None:
        return inf
    return float((torch.tensor(matrix).double() - torch.tensor(right["matrix"]).double()).abs().max())


def _said(error: float, run: dict[str, Any]) -> str:
    return f"no number: {run['failed']}" if error == inf else f"{error:.1e}"


def _whole(args: argparse.Namespace, runs: Sequence[dict[str, Any]]) -> list[str]:
    """The exact comparison over many images: where its time went, and what the device could do at best."""
    seconds, run = sorted(run["seconds"] for run in runs), runs[-1]
    flops = sum(step["flops"] for step in run["plan"]["steps"])
    rate, layers = _rate(args.device), len(run["layers"])
    passes = {name: median(one["passes"][name] for one in runs) for name in run["passes"]}
    return [
        f"## Exact debiased CKA end to end: {layers} × {layers} layers, {args.exact_images:,} images (repsim alone)",
        "",
        f"{median(seconds):.2f} s ({seconds[0]:.2f}–{seconds[-1]:.2f}), of it "
        + ", ".join(f"{name} {value:.2f} s" for name, value in passes.items())
        + f". Peak memory {max(one['peak_mb'] for one in runs):,} MB, "
        f"{max(one['peak_mb'] - one['before_mb'] for one in runs):,} MB of it for comparing; "
        f"{max(one['wall'] for one in runs):.1f} s the whole process.",
        "",
        *(f"- {line}" for line in run["lines"]),
        "",
        f"Products of {SIDE} × {SIDE} matrices in fp32 (no TF32) run at {rate / 1e12:.2f} TFLOP/s here: the plan's "
        f"{flops / 1e12:.2f} TFLOP take {flops / rate:.2f} s at best, without running the networks; measured is "
        f"{median(seconds) * rate / flops:.1f}× that.",
    ]


def _rate(device: str) -> float:
    """Operations per second of a product of matrices in single precision, the fastest of several."""
    x, best = torch.rand(SIDE, SIDE, device=device), inf
    with full_precision():
        for _ in range(TIMED):
            started = _now(device)
            x @ x
            best = min(best, _now(device) - started)
    return 2 * SIDE**3 / best


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return perf_counter()

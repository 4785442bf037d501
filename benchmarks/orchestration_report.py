"""Owns the Markdown of the timing of orchestration."""

import argparse
from pathlib import Path
from typing import Any

import machine
from orchestration_packs import WORK_S

GOALS = {
    "--help": "0.3 s",
    "plan": "5 s, 1 GB",
    "status": "2 s",
    "submit": "10 s",
}


def write(args: argparse.Namespace, found: dict[str, Any]) -> Path:
    """Write the report; returns its path."""
    timed = {name: one for name, one in found.items() if hasattr(one, "memory_mb")}
    paces = {name: one for name, one in found.items() if name not in timed}
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "orchestration_cpu.md"
    path.write_text("\n".join([*_head(args), *_commands(args, timed), *(_paces(paces) if paces else []), ""]))
    return path


def _head(args: argparse.Namespace) -> list[str]:
    hidden = [args.out, *([args.filled] if args.filled else [])]
    return [
        "# Orchestration: commands on large sweeps, and what a run costs beside its work",
        "",
        machine.described("cpu"),
        "",
        f"`{machine.command(hidden)}` (folders left out). Stitches between {args.networks} networks on the digits: real "
        f"jobs and a real sweep, {args.submissions} submissions of which some groups failed. Whole processes, imports included.",
        "Other work ran on the machine: CPU seconds are nearer to what a command takes alone than wall-clock seconds. The runs of "
        "the sweep were kept in the cache by the first plan, unless it says otherwise.",
        "",
    ]


def _commands(args: argparse.Namespace, timed: dict[str, Any]) -> list[str]:
    one_seed = args.networks * (args.networks - 1) * 8 * 5
    sizes = {"runs": f"{one_seed * args.seeds:,}", "rows": f"{args.rows:,}", "submitted": f"{one_seed:,}"}
    lines = ["| command | wall s, least | CPU s, least | peak MB | n | goal |", "|---|---|---|---|---|---|"]
    for name, one in timed.items():
        goal = next(goal for word, goal in GOALS.items() if word in name.split())
        lines.append(f"| {name.format(**sizes)} | {one.wall:.2f} | {one.cpu:.2f} | {one.memory_mb} | {one.times} | {goal} |")
    return [*lines, ""]


def _paces(paces: dict[str, Any]) -> list[str]:
    lines = [
        f"Runs of {1000 * WORK_S:.0f} ms that import torch, on the one-machine Slurm cluster, one slot, from the submission to the "
        "end of the last; each run of the pack is a group and a part of its own, the other way is submitit's `map_array` alone:",
        "",
        "| way | runs | seconds | seconds per run beside its work |",
        "|---|---|---|---|",
    ]
    lines += [f"| {name} | {one.runs} | {one.seconds:.1f} | {one.overhead:.3f} |" for name, one in paces.items()]
    packed, alone = (paces[name].overhead for name in ("one more in a pack", "one process per run"))
    return [*lines, "", f"One more run in a pack is what the two packs differ by, per run. Ratio: {alone / packed:.0f}×."]

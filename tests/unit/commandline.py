"""Owns calling `repsim` as people do, in this process or in a child; also a Slurm whose commands are shell scripts."""

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from repsim.cli.main import main

CHILD = [sys.executable, "-c", "from repsim.cli.main import main; main()"]
DOWN = "echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1"


@dataclass(frozen=True)
class Answer:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """stdout, which must be one JSON object and nothing else."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def call(*words: Any) -> Answer:
    """`repsim WORDS`, in this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with patch.object(sys, "argv", ["repsim", *map(str, words)]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
    return Answer(code, out.getvalue(), err.getvalue())


def start(*words: Any, cwd: Path) -> "subprocess.Popen[str]":
    """`repsim WORDS` as a process of its own."""
    command = [*CHILD, *map(str, words)]
    return subprocess.Popen(command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)


def slurm(folder: Path, **scripts: str) -> Path:
    """A folder for PATH with Slurm's commands, each a shell script; those not named do nothing, and sacct is switched off."""
    folder.mkdir()
    scripts = {"sacct": "echo 'Slurm accounting storage is disabled' >&2; exit 1", **scripts}
    for name in ("sinfo", "squeue", "sbatch", "scancel", "scontrol", "sacct"):
        (folder / name).write_text(f"#!/bin/sh\n{scripts.get(name, 'exit 0')}\n")
        (folder / name).chmod(0o755)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` with its bytes; locks and caches aside, which nobody could miss."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock" and "cache" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}

"""Owns questions to the science half: asked of a child process, so that torch stays out of this one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import repsim
from repsim.errors import InputError, UserError


def ask(module: str, *arguments: str) -> Any:
    """What `python -m MODULE ARGUMENTS` answers as JSON; its {"error": …} becomes an InputError here."""
    path = os.pathsep.join(filter(None, [str(Path(repsim.__file__).parent.parent), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"python -m {module} gave no answer: {last}", do="see: repsim doctor") from None
    if isinstance(answer, dict) and "error" in answer:
        error = answer["error"]
        raise InputError(error["what"], where=error["where"], do=error["do"])
    return answer

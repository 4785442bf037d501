"""Owns the record of one submission: a folder written before anything is sent, and read by every later command.

results/submissions/NAME/plan.json        what each task is to do; immutable
                         outline.json     the same without configurations, which is quickly read
                         sent.json        the Slurm job id, or host and process id of a local run
                         attempts/, attempts.json  what tasks did, see repsim.records
                         withdrawn        it was given up before Slurm was known to have it: its tasks leave at once
                         closed           nothing of it is in the queue any more
                         slurm/           what submitit keeps, and the logs
"""

import json
import os
import platform
import re
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from repsim import processes, records
from repsim.errors import InputError, UserError

FORMAT = 1
PREFIX = "repsim-"


@dataclass(frozen=True)
class Submission:
    """One folder under results/submissions; its name is also the name of its Slurm jobs."""

    folder: Path

    @cached_property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def plan(self) -> dict[str, Any]:
        """The immutable plan: {format, sweep, project, results, device, code, jobs, tasks: [[group, …], …]}."""
        path = self.folder / "plan.json"
        try:
            plan = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise InputError(
                f"the plan cannot be read: {error}", where=str(path), do="remove the folder if nothing of it runs"
            ) from None
        found = plan.get("format") if isinstance(plan, dict) else None
        if found != FORMAT:
            raise InputError(f"the plan has format {found}, not {FORMAT}", where=str(path), do="use the repsim that made it")
        return plan

    @property
    def outline(self) -> list[list[dict[str, Any]]]:
        """The tasks of the plan with only the ids of their runs, a tenth of its size: all that asking after runs takes."""
        return self._short["tasks"] if "tasks" in self._short else _outline(self.plan["tasks"])

    @property
    def head(self) -> dict[str, Any]:
        """The plan but for its tasks: sweep, stage, device, …"""
        return self._short.get("head") or self.plan

    @cached_property
    def _short(self) -> dict[str, Any]:
        """{format, head, tasks}; without a head, or empty, where an earlier version wrote it, or where it is damaged."""
        try:
            found = json.loads((self.folder / "outline.json").read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) and found.get("format") == FORMAT else {}

    def restore_outline(self) -> bool:
        """Write the outline anew from the plan where it does not say the same; whether that was so. UserError if it cannot be."""
        path, told = self.folder / "outline.json", _shortened(self.plan)
        try:
            if path.is_file() and path.read_text() == json.dumps(told):
                return False
            _write(path, json.dumps(told))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot be written: {error}", where=str(path), do="mend the permissions, or free the disk") from None
        return True

    @property
    def sent(self) -> dict[str, Any] | None:
        """How it was sent ({job_id, at} or {host, pid, at}); None while that is not known."""
        try:
            return json.loads((self.folder / "sent.json").read_text())
        except (OSError, ValueError):
            return None

    @property
    def closed(self) -> bool:
        return (self.folder / "closed").exists()

    @property
    def over_since(self) -> float | None:
        """When it was closed (seconds since 1970)."""
        try:
            return (self.folder / "closed").stat().st_mtime
        except OSError:
            return None

    @property
    def gpus(self) -> int:
        """How often an hour of one of its tasks counts: GPUs that each holds, and 1 without any."""
        return max(1, self.head.get("gpus_per_task", 0))

    @property
    def on_gpu(self) -> bool:
        """Whether its hours are GPU-hours."""
        return self.head["device"] == "cuda" or self.head.get("gpus_per_task", 0) > 0

    @property
    def slurm(self) -> Path:
        return self.folder / "slurm"

    @property
    def withdrawn(self) -> float:
        """When it was given up (seconds since 1970); 0 if it was not."""
        try:
            return (self.folder / "withdrawn").stat().st_mtime
        except OSError:
            return 0.0

    def withdraw(self, mark: bool = True) -> None:
        """Give it up: should Slurm take it after all, its tasks leave without computing. Or take that back."""
        if mark:
            _write(self.folder / "withdrawn", "")
        else:
            (self.folder / "withdrawn").unlink(missing_ok=True)

    def mark_sent(self, **how: Any) -> None:
        """Record how the submission was sent."""
        _write(self.folder / "sent.json", json.dumps({**how, "at": time.time()}))

    def add_to_sent(self, **how: Any) -> None:
        """Record what became of how it was sent."""
        _write(self.folder / "sent.json", json.dumps({**(self.sent or {}), **how}))

    def close(self, ended: dict[int, str] | None = None) -> None:
        """Record that nothing of it is queued or running, and the last state that Slurm showed of each task."""
        _write(self.folder / "closed", json.dumps(ended or {}))
        with suppress(OSError):  # on a full disk they are read one by one, as before
            _write(self.folder / records.FOLDED, records.folded(self.folder))

    @property
    def ended(self) -> dict[int, str]:
        """Last Slurm state by task; empty unless it was recorded when the submission was closed."""
        try:
            return {int(task): state for task, state in json.loads((self.folder / "closed").read_text()).items()}
        except (OSError, ValueError):
            return {}

    def events(self, task: int | None = None) -> list[dict[str, Any]]:
        """All attempt records of groups (of one task), oldest first, each with its task and restart."""
        return [record for record in self.records(task) if "group" in record]

    def comings(self) -> list[dict[str, Any]]:
        """All records of tasks that came (`begun`) and left (`left`, and why), oldest first, each with its task and restart."""
        return [record for record in self.records() if "group" not in record]

    def records(self, task: int | None = None) -> list[dict[str, Any]]:
        """All of both, oldest first."""
        if not self.closed:
            return records.read(self.folder, task)
        return [record for record in self._last_records if task in (None, record["task"])]

    @cached_property
    def _last_records(self) -> list[dict[str, Any]]:
        """Those of a closed submission, which one command asks for again and again."""
        return records.read(self.folder)


def create(root: Path, sweep: str, plan: dict[str, Any]) -> Submission:
    """A new submission with a name of its own and its plan on disk, before anything is sent."""
    folder = _fresh(root, re.sub("[^A-Za-z0-9_.-]", "-", sweep))
    try:
        (folder / "attempts").mkdir()
        (folder / "slurm").mkdir()
        _write(folder / "outline.json", json.dumps(_shortened(plan)))
        _write(folder / "plan.json", json.dumps({"format": FORMAT, **plan}))  # last: a folder without it is no submission
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise _unwritable(error, folder) from None
    return Submission(folder)


def _fresh(root: Path, sweep: str) -> Path:
    """A folder that nobody had before; one of the same name is another submission, which may be at work."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        while True:
            folder = root / f"{PREFIX}{sweep}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.urandom(2).hex()}"
            if not folder.exists():
                folder.mkdir()
                return folder
    except OSError as error:
        raise _unwritable(error, root) from None


def _unwritable(error: OSError, folder: Path) -> UserError:
    return UserError(f"cannot be written: {error.strerror}", where=str(folder), do="mend the permissions, or free the disk")


def _shortened(plan: dict[str, Any]) -> dict[str, Any]:
    head = {name: value for name, value in plan.items() if name not in ("format", "tasks")}
    return {"format": FORMAT, "head": head, "tasks": _outline(plan.get("tasks", []))}


def _outline(tasks: Sequence[Sequence[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    return [[{**group, "runs": [{"id": run["id"]} for run in group["runs"]]} for group in task] for task in tasks]


def every(root: Path) -> list[Submission]:
    """All submissions of a project, oldest first."""
    return [Submission(p.parent) for p in sorted(root.glob(f"{PREFIX}*/plan.json"), key=lambda p: p.stat().st_mtime_ns)]


def local_alive(sent: dict[str, Any]) -> bool:
    """Whether the process of a local run still lives; one on another host is taken to live for a day."""
    if sent.get("host") != platform.node():
        return time.time() - sent["at"] < 86_400
    return processes.lives(sent["pid"], sent.get("born"))


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

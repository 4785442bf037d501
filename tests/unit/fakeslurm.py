"""Owns a Slurm on PATH that does what a real one cannot be made to do: it loses answers, forgets, lags, lies and refuses.

    fake.fault("sbatch", "lose")            the next sbatch takes the job and says that the socket timed out
    fake.always("sacct", "deny")            until told otherwise
    fake.start("100_0"); fake.end("100_0", "FAILED"); fake.preempt("100_1"); fake.hold("100_2", "JobHeldAdmin")
    fake.work()                             really runs what is pending, one script after the other
    fake.asked("squeue")                    how it was called

Faults of every command: `down` (no controller), `hang[:S]`, `garble`; of all but sbatch `empty`; of sbatch `lose` (taken, then
an error), `late:S` (taken, answered after S seconds), `busy` and `limit` (not taken); of sacct `deny`. `hang` and `garble` of
sbatch come after it took the job.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fakeslurm_machine as machine

KINDS = {"down", "hang", "garble", "empty", "lose", "late", "busy", "limit", "deny"}
SRUN = """\
#!/bin/sh
while :; do case "$1" in
  --output|--error)
    out=$(echo "$2" | sed "s/%A/$SLURM_ARRAY_JOB_ID/;s/%a/$SLURM_ARRAY_TASK_ID/;s/%j/$SLURM_JOB_ID/;s/%t/0/")
    shift 2;;
  -*) shift;;
  *) break;;
esac; done
exec "$@" >> "${out:-/dev/null}" 2>&1
"""


@dataclass(frozen=True)
class FakeSlurm:
    """A cluster in `folder`; put `bin` on PATH."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def elements(self) -> dict[str, dict[str, Any]]:
        """Every element that was ever sent, by its name (18_3, or 18 for a plain job)."""
        return self._state()["elements"]

    @property
    def jobs(self) -> dict[str, dict[str, Any]]:
        """What was sent, by job id: script, options, cwd, and which variables of Slurm sbatch inherited."""
        return self._state()["jobs"]

    def states(self) -> dict[str, str]:
        """Element → state."""
        return {name: element["state"] for name, element in self.elements.items()}

    def asked(self, command: str) -> list[list[str]]:
        """The words of every call of `command` so far."""
        return [words for name, *words in self._state()["asked"] if name == command]

    def fault(self, command: str, *kinds: str) -> None:
        """What goes wrong with the next calls, one after the other; `-` for a call that goes well."""
        assert {kind.partition(":")[0] for kind in kinds} <= KINDS | {"-"}, kinds
        with machine.opened(self.folder) as state:
            state["due"].setdefault(command, []).extend(kinds)

    def always(self, command: str, kind: str | None) -> None:
        """What goes wrong with every further call; None: nothing any more."""
        assert kind is None or kind.partition(":")[0] in KINDS, kind
        with machine.opened(self.folder) as state:
            state["always"][command] = kind

    def configure(self, **config: Any) -> None:
        """Lines of `scontrol show config`, as in MaxArraySize=10; also `next` (job id), `nodes`, `partitions`, `version`."""
        with machine.opened(self.folder) as state:
            own = {key: config.pop(key) for key in ("next", "nodes", "partitions", "version") if key in config}
            state |= own
            state["config"] |= {key: str(value) for key, value in config.items()}

    def lag(self, lagging: bool = True) -> None:
        """From now on squeue shows the queue as it is now."""
        with machine.opened(self.folder) as state:
            state["lagging"] = json.loads(json.dumps(state["elements"])) if lagging else None

    def forget(self, *elements: str) -> None:
        """squeue knows them no longer; sacct does."""
        self._each(elements, purged=True)

    def start(self, *elements: str, node: str = "n1") -> None:
        """Slurm says that they run; no process does."""
        self._each(elements, state="RUNNING", node=node, reason="None", start=machine.now())

    def end(self, *elements: str, state: str = "COMPLETED") -> None:
        """Slurm says that they ended so."""
        self._each(elements, state=state, end=machine.now())

    def hold(self, element: str, reason: str) -> None:
        """Pending for this reason."""
        self._each([element], state="PENDING", reason=reason, node="")

    def preempt(self, element: str) -> None:
        """Back into the queue, its process told to leave."""
        if pid := self.elements[element]["pid"]:
            machine._kill(pid, "TERM")
        restarts = self.elements[element]["restarts"] + 1
        self._each([element], state="PENDING", reason="BeginTime", node="", restarts=restarts)

    def begin(self, element: str, node: str = "n1") -> "subprocess.Popen[bytes]":
        """Start the script of an element as Slurm would, in a process group of its own."""
        job = self.jobs[self.elements[element]["job"]]
        script = self.folder / f"{element}.sh"
        script.write_text(job["script"])
        process = subprocess.Popen(["bash", str(script)], env=self._environment(element, node), cwd=job["cwd"], process_group=0)
        self._each([element], pid=process.pid, state="RUNNING", node=node, start=machine.now(), reason="None")
        return process

    def finish(self, element: str, process: "subprocess.Popen[bytes]", seconds: float = 30) -> None:
        """Wait for it; what was put back into the queue meanwhile stays there."""
        code = process.wait(seconds)
        with machine.opened(self.folder) as state:
            found = state["elements"][element]
            found["pid"] = None
            if found["state"] == "RUNNING":
                found |= {"state": "FAILED" if code else "COMPLETED", "end": machine.now(), "exit": f"{code}:0"}
            machine._await(state)

    def work(self, times: int = 100) -> list[str]:
        """Run pending elements that may start, one after the other, until none is left; which were run."""
        done = []
        while len(done) < times and (ready := self._ready()):
            self.finish(ready[0], self.begin(ready[0]))
            done.append(ready[0])
        return done

    def _ready(self) -> list[str]:
        free = ("None", "BeginTime", "Priority", "Resources")
        return [name for name, e in self.elements.items() if e["state"] == "PENDING" and e["reason"] in free]

    def _environment(self, element: str, node: str) -> dict[str, str]:
        e = self.elements[element]
        one = {"SLURM_JOB_ID": e["raw"], "SLURM_RESTART_COUNT": str(e["restarts"]), "SLURMD_NODENAME": node, "SLURM_NTASKS": "1"}
        one |= {
            "SLURM_JOB_NUM_NODES": "1",
            "SLURM_NODEID": "0",
            "SLURM_PROCID": "0",
            "SLURM_LOCALID": "0",
            "SLURM_JOB_NODELIST": node,
        }
        if e["index"] != "N/A":
            one |= {"SLURM_ARRAY_JOB_ID": e["job"], "SLURM_ARRAY_TASK_ID": e["index"]}
        return os.environ | {"PATH": f"{self.bin}:{os.environ['PATH']}"} | one

    def _each(self, elements: Any, **facts: Any) -> None:
        with machine.opened(self.folder) as state:
            for name in elements:
                state["elements"][name] |= facts
            machine._await(state)

    def _state(self) -> dict[str, Any]:
        with machine.opened(self.folder) as state:
            return state


def make(folder: Path) -> FakeSlurm:
    """A healthy cluster of four nodes in `folder`, with nothing in its queue; the first job is 100."""
    (folder / "bin").mkdir(parents=True)
    config = {"MaxArraySize": "1001", "MaxJobCount": "10000", "SLURM_VERSION": "24.05.1"}
    state = {"next": 100, "jobs": {}, "elements": {}, "asked": [], "due": {}, "always": {}, "lagging": None, "config": config}
    state |= {"nodes": 4, "partitions": ["gpu", "gpu-preempt"], "version": "24.05.1", "made": time.time()}
    (folder / "state.json").write_text(json.dumps(state))
    for name in machine.COMMANDS:
        line = f'exec "{sys.executable}" -SE "{machine.__file__}" "{folder}" {name} "$@"'
        _executable(folder / "bin" / name, f"#!/bin/sh\n{line}\n")
    _executable(folder / "bin" / "srun", SRUN)
    return FakeSlurm(folder)


def _executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)

"""Owns what Slurm's commands do on the fake cluster: one small state machine in a file, run as `machine.py FOLDER COMMAND …`.

The state is one JSON file under a lock, so that commands of several processes take turns. Only the standard library is
imported: a command answers in some 20 ms. What can go wrong is told by `fakeslurm.FakeSlurm.fault`.
"""

import fcntl
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "PREEMPTED")
DOWN = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
LOST = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
BUSY = "sbatch: error: Batch job submission failed: Resource temporarily unavailable"
LIMIT = "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit)"
RUBBISH = "\x1b[31m%%|||\udcff\n<html>502 Bad Gateway</html>\n|\n"
FORMATS = {"i": "element", "K": "index", "T": "state", "r": "reason", "N": "node", "j": "name", "V": "submit", "S": "start"}
FORMATS |= {"e": "end", "P": "partition", "A": "raw", "F": "job", "u": "user", "l": "limit", "Q": "priority", "M": "used"}
FIELDS = {"jobid": "element", "jobidraw": "raw", "jobname": "name", "state": "state", "nodelist": "node", "submit": "submit"}
FIELDS |= {"start": "start", "end": "end", "exitcode": "exit", "reason": "reason", "partition": "partition", "user": "user"}


class Refused(Exception):
    """What a command says on stderr before it ends with 1."""


@contextmanager
def opened(folder: Path) -> Iterator[dict[str, Any]]:
    """The state, held until it is written back."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads((folder / "state.json").read_text())
        yield state
        (folder / "state.json").write_text(json.dumps(state))


def now() -> str:
    """As Slurm writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S")


def sbatch(state: dict[str, Any], words: list[str]) -> str:
    """Take a script; its elements are pending."""
    script = next(Path(word) for word in words if not word.startswith("-")).read_text()
    said = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", script, re.M))
    said |= {key: value for key, _, value in (word[2:].partition("=") for word in words if word.startswith("--"))}
    indices = _indices(said.get("array", ""))
    _refuse(state, said, indices)
    job, state["next"] = str(state["next"]), state["next"] + max(1, len(indices))
    inherited = sorted(key for key in os.environ if key.startswith(("SLURM", "SBATCH", "SRUN")))
    state["jobs"][job] = {"script": script, "options": said, "cwd": str(Path.cwd()), "inherited": inherited}
    pending = {"job": job, "name": said.get("job-name", "sbatch"), "state": "PENDING", "reason": "None", "node": "", "end": "N/A"}
    pending |= {"partition": said.get("partition", "gpu"), "submit": now(), "start": "N/A", "exit": "0:0", "restarts": 0}
    pending |= {"user": "me", "limit": said.get("time", "60"), "priority": "1", "used": "0:00", "pid": None}
    for place, index in enumerate(indices or [None]):
        element = f"{job}_{index}" if indices else job
        state["elements"][element] = {**pending, "element": element, "index": "N/A" if index is None else str(index)}
        state["elements"][element]["raw"] = str(int(job) + place)
    _await(state)
    return f"Submitted batch job {job}\n"


def squeue(state: dict[str, Any], words: list[str]) -> str:
    """Lines of the elements asked for; as the queue was earlier where it lags."""
    asked, form = _options(words), "%i %K %T"
    names, jobs, form = asked.get("-n") or asked.get("--name"), asked.get("-j") or asked.get("--jobs"), asked.get("-o", form)
    states = asked.get("-t") or asked.get("--states") or "PENDING,RUNNING,COMPLETING,SUSPENDED"
    shown = state["lagging"] if state["lagging"] is not None else state["elements"]
    found = [e for e in shown.values() if not e.get("purged")]
    found = [e for e in found if names is None or e["name"] in names.split(",")]
    wanted = None if jobs is None else jobs.split(",")
    if wanted is not None and len(wanted) == 1 and not _named(found, wanted):
        raise Refused("slurm_load_jobs error: Invalid job id specified")
    found = found if wanted is None else _named(found, wanted)
    found = [e for e in found if states == "all" or e["state"] in states.split(",")]
    return "".join(_filled(form, e) + "\n" for e in found)


def sacct(state: dict[str, Any], words: list[str]) -> str:
    """What accounting holds, purged elements too, by `-o`, with `|` between fields."""
    asked = _options(words)
    fields = (asked.get("-o") or asked.get("--format") or "JobID,State").lower().split(",")
    names, jobs = asked.get("--name"), asked.get("-j") or asked.get("--jobs")
    found = [e for e in state["elements"].values() if names is None or e["name"] in names.split(",")]
    found = found if jobs is None else _named(found, jobs.split(","))
    lines = ["|".join(str(e.get(FIELDS.get(re.sub(r"%.*", "", field), ""), "")) for field in fields) for e in found]
    header = [] if {"-n", "--noheader"} & asked.keys() or "n" in asked.get("flags", "") else ["|".join(fields)]
    return "".join(f"{line}\n" for line in [*header, *lines])


def scancel(state: dict[str, Any], words: list[str]) -> str:
    """Cancel elements or whole arrays, or signal the processes of those that run."""
    asked, ids = _options(words), [word for word in words if not word.startswith("-")]
    names = asked.get("--name") or asked.get("-n")
    signal = re.sub("^SIG", "", asked.get("--signal") or asked.get("-s") or "TERM")
    found = [e for e in state["elements"].values() if e["name"] == names] if names else _named(state["elements"].values(), ids)
    for element in found:
        if element["state"] in ENDED:
            continue
        if element["pid"]:
            _kill(element["pid"], signal)
        if not {"--signal", "-s"} & asked.keys():
            element |= {"state": "CANCELLED", "end": now(), "reason": "None"}
    _await(state)
    return ""


def scontrol(state: dict[str, Any], words: list[str]) -> str:
    """show config, requeue, hold, release; update is taken and forgotten."""
    verb, rest = words[0], words[1:]
    if verb == "show":
        return "".join(f"{key:<24}= {value}\n" for key, value in state["config"].items()) if rest[:1] == ["config"] else ""
    named = _named(state["elements"].values(), ",".join(rest).split(","))
    if verb in ("requeue", "release", "hold") and not named:
        raise Refused(f"scontrol: error: Invalid job id specified for job {' '.join(rest)}")
    for element in named:
        if verb == "requeue":
            element |= {"state": "PENDING", "reason": "BeginTime", "node": "", "restarts": element["restarts"] + 1}
        if verb == "hold":
            element["reason"] = "JobHeldUser"
        if verb == "release":
            element["reason"] = "None"
    return ""


def sinfo(state: dict[str, Any], words: list[str]) -> str:
    """The version, or the nodes of the default partition."""
    if "--version" in words or "-V" in words:
        return f"slurm {state['version']}\n"
    form = _options(words).get("-o", "%N %T")
    nodes = [f"n{i + 1}" for i in range(state["nodes"])]
    fill = {"%N": "", "%P": "gpu*", "%T": "idle", "%t": "idle", "%G": "gpu:2", "%D": "1", "%l": "infinite", "%a": "up"}
    return "".join(re.sub(r"%[.\d]*[A-Za-z]", lambda m, n=node: {**fill, "%N": n}.get(m[0], ""), form) + "\n" for node in nodes)


COMMANDS: dict[str, Callable[[dict[str, Any], list[str]], str]] = {
    "sbatch": sbatch,
    "squeue": squeue,
    "sacct": sacct,
    "scancel": scancel,
    "scontrol": scontrol,
    "sinfo": sinfo,
}


def main(folder: Path, command: str, words: list[str]) -> int:
    """One call of a command, with the fault that is due."""
    with opened(folder) as state:
        due = state["due"].get(command) or []
        fault = due.pop(0) if due else state["always"].get(command)
        kind, _, seconds = (fault or "").partition(":")
        state["asked"].append([command, *words])
        out, error = _answer(state, command, words, kind)
    if kind in ("hang", "late"):
        time.sleep(float(seconds or 600))
    sys.stdout.buffer.write(out.encode(errors="surrogateescape"))
    if error:
        print(error, file=sys.stderr)
    return 1 if error else 0


def _answer(state: dict[str, Any], command: str, words: list[str], kind: str) -> tuple[str, str]:
    """(stdout, stderr); sbatch takes the job first and then loses, delays or garbles its answer."""
    early = {"down": DOWN, "deny": "Slurm accounting storage is disabled", "busy": BUSY, "limit": LIMIT}
    if kind in early:
        return "", early[kind]
    if command != "sbatch" and kind in ("garble", "empty", "hang"):
        return RUBBISH if kind == "garble" else "", ""
    try:
        out = COMMANDS[command](state, words)
    except Refused as error:
        return "", str(error)
    if kind == "garble":
        return RUBBISH, ""
    return ("", LOST) if kind == "lose" else (out, "")


def _refuse(state: dict[str, Any], said: dict[str, str], indices: list[int]) -> None:
    failed = "sbatch: error: Batch job submission failed: "
    if indices and max(indices) >= int(state["config"]["MaxArraySize"]):
        raise Refused(failed + "Invalid job array specification")
    alive = sum(1 for e in state["elements"].values() if not e.get("purged"))
    if alive + max(1, len(indices)) > int(state["config"]["MaxJobCount"]):
        raise Refused(BUSY)
    if said.get("partition", "gpu") not in state["partitions"]:
        raise Refused(failed + "Invalid partition name specified")
    known = {name for e in state["elements"].values() if not e.get("purged") for name in (e["job"], e["element"])}
    if any(job not in known for _, job in _parents(said)):
        raise Refused(failed + "Job dependency problem")


def _await(state: dict[str, Any]) -> None:
    """What waits for other jobs: freed, or never to run (then it is cancelled where that was asked)."""
    for element in state["elements"].values():
        said = state["jobs"][element["job"]]["options"]
        parents = _parents(said)
        if element["state"] != "PENDING" or not parents or not element["reason"].startswith(("None", "Depend")):
            continue
        ends = {job: [e["state"] for e in state["elements"].values() if job in (e["job"], e["element"])] for _, job in parents}
        over = all(all(end in ENDED for end in found) for found in ends.values())
        never = over and any(kind == "afterok" and set(ends[job]) != {"COMPLETED"} for kind, job in parents)
        element["reason"] = "DependencyNeverSatisfied" if never else "None" if over else "Dependency"
        if never and said.get("kill-on-invalid-dep") == "yes":
            element |= {"state": "CANCELLED", "end": now()}


def _parents(said: dict[str, str]) -> list[tuple[str, str]]:
    """(kind, id of a job or of an element) of each dependency."""
    parts = [part.split(":") for part in said.get("dependency", "").split(",") if part]
    return [(kind, job) for kind, *jobs in parts for job in jobs]


def _indices(text: str) -> list[int]:
    """0-3,7%2 → 0, 1, 2, 3, 7."""
    ranges = [part.split("-") for part in text.partition("%")[0].split(",") if part]
    return [index for first, *last in ranges for index in range(int(first), int((last or [first])[0]) + 1)]


def _filled(form: str, element: dict[str, Any]) -> str:
    """`%i|%T` of an element."""
    return re.sub(r"%[.\d]*([A-Za-z])", lambda m: str(element.get(FORMATS.get(m[1], ""), "")), form)


def _named(elements: Any, ids: list[str]) -> list[dict[str, Any]]:
    """The elements that are called so, or belong to an array that is."""
    return [e for e in elements if e["element"] in ids or e["job"] in ids]


def _options(words: list[str]) -> dict[str, str]:
    """`-o X`, `-oX`, `--name=X`, `--name X`; a flag is its own key."""
    found: dict[str, str] = {}
    for place, word in enumerate(words):
        key, _, value = word.partition("=") if word.startswith("--") else (word[:2], "", word[2:])
        if word.startswith("-"):
            follows = words[place + 1 : place + 2]
            found[key] = value or next((each for each in follows if not each.startswith("-")), "")
    return found


def _kill(pid: int, signal: str) -> None:
    os.system(f"kill -{signal} -{pid} 2>/dev/null")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))

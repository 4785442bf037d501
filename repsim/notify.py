"""Owns the one notification of a submission: who is told, that it is over, and that this is said once.

results/submissions/NAME/notify.json   the wish of the profile, written before anything is sent
                         ended/TASK    a task that left for good
                         notified      whoever creates it tells; then how that went
"""

import json
import shlex
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from repsim import progress
from repsim.submission import Submission
from repsim.yamlfile import Strict

TIMEOUT_S = 30


class Notify(Strict):
    """Whom to tell when a submission is over: a web address gets JSON by POST, a command gets it on its standard input."""

    url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    command: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _is_one(self) -> "Notify":
        if (self.url is None) == (self.command is None):
            raise ValueError("give either url or command")
        return self


def wish(one: Submission, whom: Notify | None) -> None:
    """Write down whom the profile wants to be told about this submission."""
    if whom is not None:
        (one.folder / "notify.json").write_text(whom.model_dump_json())


def leave(one: Submission, task: int) -> None:
    """A task leaves for good; the last one tells."""
    folder = one.folder / "ended"
    with suppress(OSError):  # on a full disk nobody is told; the results are what counts
        folder.mkdir(exist_ok=True)
        (folder / str(task)).touch()
        tell(one)


def tell(one: Submission) -> bool:
    """Tell, if somebody is to be told, all of it is over, and nobody else did so; whether this call did.

    An error of the hook is written down, and never raised: the results are there whether or not anybody hears of it.
    """
    file = one.folder / "notify.json"
    if not file.is_file() or not _is_over(one) or not _claimed(one.folder / "notified"):
        return False
    try:
        _send(Notify.model_validate_json(file.read_text()), message(one))
        how = "told"
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        how = f"failed: {type(error).__name__}: {error}"
    with suppress(OSError):  # a full disk: the claim alone stays, and nobody is told twice
        (one.folder / "notified").write_text(json.dumps({"at": time.time(), "how": how}))
    return True


def message(one: Submission) -> dict[str, Any]:
    """What is told: runs finished, failed by cause and left, and the hours that all attempts took."""
    runs = {group["id"]: len(group["runs"]) for task in one.plan["tasks"] for group in task}
    last = {event["group"]: event for event in one.events() if event["event"] == "end"}
    failed: Counter[str] = Counter()
    for group, event in last.items():
        if event["outcome"] == "failed":
            failed[event["cause"]] += runs[group]
    finished = sum(runs[group] for group, event in last.items() if event["outcome"] in ("done", "stored"))
    hours = sum(span.seconds for span in progress.spans(one)) / 3600
    text = f"{one.head['sweep']}: {finished:,} of {sum(runs.values()):,} runs finished in {hours:.2f} hours"
    text += "".join(f", {count:,} failed ({cause})" for cause, count in failed.items())
    counts = {"runs": sum(runs.values()), "finished": finished, "failed": dict(failed), "hours": round(hours, 4)}
    return {"text": text, "sweep": one.head["sweep"], "submission": one.name, **counts}


def _is_over(one: Submission) -> bool:
    return one.closed or len(list(one.folder.glob("ended/*"))) == len(one.plan["tasks"])


def _claimed(file: Path) -> bool:
    """Whether this process is the one that creates the file."""
    try:
        file.open("x").close()
    except OSError:
        return False
    return True


def _send(whom: Notify, content: dict[str, Any]) -> None:
    body = json.dumps(content).encode()
    if whom.command is not None:
        subprocess.run(shlex.split(whom.command), input=body, timeout=TIMEOUT_S, check=True, stdout=subprocess.DEVNULL)
        return
    import urllib.request  # here, as every command reads profiles and few tell anybody

    request = urllib.request.Request(str(whom.url), body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=TIMEOUT_S).close()

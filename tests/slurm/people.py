"""Owns the people at work during a chaos: three who give commands at the same time, each command a process of its own."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ground import SWEEP, Ground

PERSON = """
import toy
from repsim import catalog, intents
from repsim.cli.main import main
catalog._ask = toy.sheet
intents.LOOKS_S, intents.PAUSES_S = (0.0, 1.0, 2.0, 3.0), (1.0, 2.0, 4.0)  # as patient as a test can be
main()
"""
LOOK_S = 0.1
KILLED = -9  # by an injection
PATIENCE_S = 150.0  # longer than any command may take, even with a controller that does not answer
Wait = Generator[float, None, "Answer"]


@dataclass(frozen=True)
class Answer:
    """What a command said, and how it ended; None: it was killed."""

    words: tuple[str, ...]
    code: int | None
    out: str
    err: str
    seconds: float

    @property
    def wrong(self) -> str | None:
        """What no command may do, whatever happens to the cluster; None if it behaved."""
        if self.code is None:
            return f"did not answer within {self.seconds:.0f} s"
        if self.code not in (0, 1, 2, KILLED):
            return f"ended with {self.code}"
        return "has a traceback" if "Traceback" in self.err else None


@dataclass
class People:
    """Who they are is told by what they do; every answer is kept for the verdict."""

    ground: Ground
    answers: list[Answer] = field(default_factory=list)
    busy: int = 0
    leaving: bool = False
    _said: dict[int, tuple[Path, Path]] = field(default_factory=dict)

    def leave(self) -> None:
        """Everybody goes home after the present command."""
        self.leaving = True

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """`repsim WORDS`, begun."""
        line = [sys.executable, "-c", PERSON, *words]
        where = {"cwd": self.ground.project.root, "env": self.ground.environment(), "start_new_session": True}
        said = self.ground.folder / "said"
        with (said / f"{len(self.answers)}.{time.monotonic_ns()}").open("w") as err, Path(f"{err.name}.out").open("w") as out:
            process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=out, stderr=err, **where)
        self._said[process.pid] = Path(out.name), Path(err.name)
        (self.ground.folder / "at-work" / str(process.pid)).touch()
        return process

    def end(self, process: "subprocess.Popen[bytes]") -> tuple[str, str]:
        """What it said; what is left of it and of all that it began is killed."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        (self.ground.folder / "at-work" / str(process.pid)).unlink()
        out, err = self._said.pop(process.pid)
        return out.read_text(), err.read_text()

    def ask(self, *words: str, patience_s: float = PATIENCE_S) -> Wait:
        """The answer to `repsim WORDS`; None as its code where nobody has the patience to wait for it any longer."""
        self.busy += 1
        begun, process = time.monotonic(), self.start(*words)
        while process.poll() is None and time.monotonic() < begun + patience_s:
            yield LOOK_S
        code = process.poll()
        out, err = self.end(process)
        answer = Answer(words, code, out, err, time.monotonic() - begun)
        self.answers.append(answer)
        self.busy -= 1
        return answer

    def anna(self, rng: random.Random) -> Generator[float, None, None]:
        """Submits again and again, sometimes with another profile, sometimes with what waits for networks."""
        while not self.leaving:
            extra = [word for word, chance in (("--chain", 0.5), ("--profile=brief", 0.3)) if rng.random() < chance]
            yield from self.ask("sweep", "submit", SWEEP, "--yes", *extra)
            yield rng.uniform(2, 5)

    def bert(self, rng: random.Random) -> Generator[float, None, None]:
        """Merges, and looks."""
        while not self.leaving:
            looks = [("sweep", "status", SWEEP, "--json"), ("sweep", "queue")]
            words = rng.choice([("results", "aggregate", SWEEP), ("results", "compact"), *looks])
            yield from self.ask(*words)
            yield rng.uniform(2, 5)

    def cleo(self, rng: random.Random) -> Generator[float, None, None]:
        """Cancels a part, and sends what failed again."""
        while not self.leaving:
            yield rng.uniform(4, 9)
            case = rng.choice(["case=linear", "case=permutation"])
            words = rng.choice([("cancel", SWEEP, case), ("retry", SWEEP, "--failed"), ("retry", SWEEP, "--failed")])
            yield from self.ask("sweep", *words, "--yes")

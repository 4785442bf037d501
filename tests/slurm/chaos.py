"""Owns the chaos: a sweep on real Slurm to which everything happens, in an order drawn from a seed, and what becomes of it.

    make chaos SEEDS=1..10

prints for every seed what was injected and how often; ends with 1 if any seed lost, doubled or repeated anything.
The seed fixes what is done and in which order, not what the machine does meanwhile.
"""

import argparse
import heapq
import itertools
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ground as grounds
import noted
import verdict as verdicts
from ground import SWEEP, Ground
from injections import DECK, mend, resume_nodes
from people import Answer, People
from verdict import Ledger, Verdict

LAST = 9  # networks 0…9: 10 trainings and 450 stitches
AT_ONCE = 4
TRIES = 3
WATCH_S = 0.25
SETTLE_S = 300.0
HELD = ("launch_failed_requeued_held", "JobHeldAdmin", "job_requeued_in_held_state", "JobHeldUser")


@dataclass(frozen=True)
class Size:
    """How much happens: how often each injection, how many seconds apart, how slow the runs, how long a node stays lost."""

    rounds: int
    gap_s: float
    pace: float
    away_s: float


SHORT, LONG = Size(1, 2.5, 1.0, 3.0), Size(3, 3.0, 1.5, 50.0)


@dataclass
class Season:
    """One chaos and what came of it."""

    seed: int
    happened: Counter = field(default_factory=Counter)
    missed: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    kept: Path | None = None

    def text(self) -> str:
        """What is printed for a seed."""
        injected = ", ".join(f"{name} {count}" for name, count in sorted(self.happened.items()))
        facts = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        lines = [
            f"seed {self.seed}: {'FAILED' if self.wrong else 'well'}; {facts}",
            f"  injected {self.happened.total()}: {injected}",
        ]
        lines += [f"  came too late to happen: {dict(self.missed)}"] if self.missed else []
        lines += [f"  WRONG: {each}" for each in self.wrong]
        return "\n".join([*lines, *([f"  kept in {self.kept}"] if self.kept else [])])


class Stage:
    """Generators that take turns: each yields the seconds until it wants to go on."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Generator[float, None, Any]]] = []
        self._number = itertools.count()

    def add(self, actor: Generator[float, None, Any]) -> None:
        """Let it act from now on."""
        heapq.heappush(self._due, (time.monotonic(), next(self._number), actor))

    def play(self, until: Any, seconds: float) -> None:
        """Until `until()` is true; TimeoutError where it is not after `seconds`."""
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                raise TimeoutError(f"the chaos did not end within {seconds:.0f} s")
            due, _, actor = heapq.heappop(self._due)
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                wait = next(actor)
            except StopIteration:
                continue
            heapq.heappush(self._due, (time.monotonic() + wait, next(self._number), actor))


def play(seed: int, size: Size) -> Season:
    """One season: the chaos, then calm until all is done, then the verdict."""
    season, begun = Season(seed), time.monotonic()
    with grounds.broken_in(LAST, size.pace, size.away_s) as ground:
        people, ledger = People(ground), Ledger(ground.project)
        calm = verdicts.undisturbed(ground.folder, LAST)
        try:
            _strike(season, ground, people, ledger, size)
            mend(ground)
            season.facts["strikes ended after s"] = round(time.monotonic() - begun)
            season.facts |= {"submits until done": _settle(ground, people, ledger)}
            found = verdicts.judge(ground.project, ground.folder / noted.JOURNAL, ledger, calm)
        except (AssertionError, TimeoutError) as error:
            found = Verdict([f"{type(error).__name__}: {error}"], {})
        season.wrong = [*found.wrong, *_misbehaved(people.answers)]
        season.facts |= found.facts | {"restarts": _restarts(ground), "commands": len(people.answers)}
        if season.wrong:  # whoever looks into it finds the results, what was said, and the story
            (ground.folder / "keep").touch()
            (ground.folder / "commands").write_text("\n".join(map(repr, people.answers)))
            season.kept = ground.folder
        place, cluster = ground.folder, ground.cluster.folder
    left = verdicts.processes_of(place) + verdicts.processes_of(cluster) + _mounts(place)
    season.wrong += [f"left behind: {left}"] if left else []
    season.facts |= {"seconds": round(time.monotonic() - begun)}
    return season


def _strike(season: Season, ground: Ground, people: People, ledger: Ledger, size: Size) -> None:
    """People at work, and one injection after the other until each had its chances."""
    rng, stage = random.Random(season.seed), Stage()
    deck = [name for name in DECK for _ in range(size.rounds)]
    rng.shuffle(deck)
    early = len(deck) * 3 // 4  # of the cards are kept until the networks are there
    active: list[str] = []
    runs = {run.id for run in verdicts.opened(ground.project).all_runs}

    def inject(name: str, left: int) -> Generator[float, None, None]:
        story(f"{name} …")
        happened = False
        try:
            happened = yield from DECK[name](ground, people, rng)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            story(f"{name}: {error}")  # the cluster was in no state to be struck
        story(f"{name}: {'happened' if happened else 'could not'}")
        active.remove(name)
        if happened:
            season.happened[name] += 1
        elif left > 1:
            deck.append(name)
        tries[name] += 1

    def fate() -> Generator[float, None, None]:
        while deck or active:
            yield rng.uniform(0.2, size.gap_s)
            if runs <= ledger.stored.keys():
                deck.clear()  # nothing is left that could be hurt
            elif deck and len(active) < AT_ONCE and (len(deck) > early or len(ledger.stored) > LAST):
                name = deck.pop(0)
                active.append(name)
                stage.add(inject(name, size.rounds + TRIES - tries[name]))

    def watch() -> Generator[float, None, None]:
        while True:
            ledger.look()
            yield WATCH_S

    def story(text: str) -> None:
        with (ground.folder / "story").open("a") as file:
            file.write(f"{time.monotonic() - begun:6.1f} s  {len(ledger.stored):4} stored  {text}\n")

    tries, begun = Counter(), time.monotonic()
    for actor in (people.anna(rng), people.bert(rng), people.cleo(rng), watch(), fate()):
        stage.add(actor)
    stage.play(lambda: not deck and not active, 60 * size.rounds * len(DECK))
    people.leave()
    stage.play(lambda: not people.busy, 200)
    season.missed = Counter(dict.fromkeys(DECK, size.rounds)) - season.happened


def _settle(ground: Ground, people: People, ledger: Ledger) -> int:
    """Submit, and send what failed again, until all is done; how many submits that took."""
    end = time.monotonic() + SETTLE_S
    for submits in itertools.count(1):
        answer = _asked(people, "sweep", "submit", SWEEP, "--yes")
        if "all is done" in answer.out:
            return submits
        if answer.code == 2:
            _asked(people, "sweep", "resume", SWEEP)
        if "failed" in answer.out + answer.err:
            _asked(people, "sweep", "retry", SWEEP, "--failed", "--yes")
        while _alive(ground) and time.monotonic() < end:
            ledger.look()
            time.sleep(WATCH_S)
        if time.monotonic() > end:
            said = f"submit says: {answer.out} {answer.err}{_seen(ground)}"
            raise TimeoutError(f"not done {SETTLE_S:.0f} s after the last strike; {said}")
    raise AssertionError


def _alive(ground: Ground) -> bool:
    """Whether anything of the sweep is queued or running; what Slurm holds is released, as the status says one should.

    Nodes that it put aside are resumed: after a lost node it drains one for a "Duplicate jobid", until none is left.
    """
    lines = ground.cluster.run("squeue", "-h", "-r", "-o", "%i|%r|%j").splitlines()
    mine = [line.split("|") for line in lines if line.split("|")[2].startswith("repsim-")]
    for element, reason, _ in mine:
        if reason.replace(" ", "_") in HELD:
            ground.cluster.run("scontrol", "release", element)
    if mine:
        resume_nodes(ground)
    return bool(mine)


def _seen(ground: Ground) -> str:
    """What Slurm shows of tasks and nodes: without it nobody can tell afterwards why nothing went on."""
    tasks = ground.cluster.run("squeue", "-r", "-o", "%i|%T|%r|%E|%N|%j")
    return f"squeue:\n{tasks}\nsinfo:\n{ground.cluster.run('sinfo', '-N', '-o', '%N|%T|%E|%P')}"


def _asked(people: People, *words: str) -> Answer:
    """The answer, waited for."""
    asking = people.ask(*words)
    while True:
        try:
            time.sleep(next(asking))
        except StopIteration as done:
            return done.value


def _misbehaved(answers: list[Answer]) -> list[str]:
    return [f"repsim {' '.join(one.words)} {one.wrong}: {one.err[-600:]}" for one in answers if one.wrong]


def _restarts(ground: Ground) -> int:
    """How often Slurm started a task of the sweep again."""
    lines = ground.cluster.run("squeue", "-h", "-r", "-t", "all", "-O", "Name:40,RestartCnt:10").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("repsim-"))


def _mounts(folder: Path) -> list[str]:
    return [line for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line]


def seeds(text: str) -> list[int]:
    """1..3,7 → 1, 2, 3, 7."""
    ends = [part.split("..") for part in text.split(",")]
    return [seed for first, *last in ends for seed in range(int(first), int((last or [first])[0]) + 1)]


def main() -> int:
    """Play the seeds, print each; 1 if any went wrong."""
    parser = argparse.ArgumentParser(description="A sweep on real Slurm to which everything happens.")
    parser.add_argument("--seeds", type=seeds, default=[1], metavar="1..10", help="which seeds, one season each")
    parser.add_argument("--short", action="store_true", help="each injection once and quick runs, as in make test")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is taken down
    failed = []
    for seed in asked.seeds:
        season = play(seed, SHORT if asked.short else LONG)
        print(season.text(), flush=True)
        failed += [seed] if season.wrong else []
    print(f"{len(asked.seeds) - len(failed)} of {len(asked.seeds)} seeds went well" + (f"; not {failed}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Owns what is done to a sweep during a chaos: each injection makes sure that it really happened, and mends what it broke.

An injection is a generator: it yields the seconds until it wants to go on, and returns whether it happened.
"""

import errno
import os
import random
import signal
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path

import noted
from ground import SWEEP, Ground
from people import People

Injection = Generator[float, None, bool]
SOON_S = 6.0
BALLAST = ".ballast"
LOOK_S = 0.1


def task_killed(ground: Ground, people: People, rng: random.Random) -> Injection:
    """kill -9 of a worker."""
    workers = ground.workers()
    if not workers:
        return False
    victim = rng.choice(workers)
    return (yield from _killed(victim))


def task_cancelled(ground: Ground, people: People, rng: random.Random) -> Injection:
    """scancel of a task that runs."""
    return (yield from _struck(ground, rng, "scancel"))


def task_requeued(ground: Ground, people: People, rng: random.Random) -> Injection:
    """scontrol requeue of a task that runs."""
    return (yield from _struck(ground, rng, "scontrol", "requeue"))


def task_preempted(ground: Ground, people: People, rng: random.Random) -> Injection:
    """A job of the higher partition takes the node of a task."""
    running = ground.running()
    if not running:
        return False
    element, node = rng.choice(running)
    higher = ("--partition=gpu", f"--nodelist={node}", "--exclusive", "--mem=100M", "--time=1")
    job = ground.cluster.submit("sleep 1", *higher)
    happened = yield from _until(lambda: not _runs(ground, element), SOON_S)
    yield from _until(lambda: all(one.state == "COMPLETED" for one in ground.cluster.jobs(job)), SOON_S)
    return happened


def task_timed_out(ground: Ground, people: People, rng: random.Random) -> Injection:
    """USR2, as near the time limit; the task's log says that it came."""
    running = ground.running()
    if not running:
        return False
    element, _ = rng.choice(running)
    if not _obeyed(ground, "scancel", "--signal=USR2", element):
        return False
    return (yield from _until(lambda: "SIGUSR2" in _logs(ground, element), SOON_S))


def node_killed(ground: Ground, people: People, rng: random.Random) -> Injection:
    """Power loss: slurmd and all that runs there die; it comes back."""
    return (yield from _without(ground, rng, "kill-node"))


def node_lost(ground: Ground, people: People, rng: random.Random) -> Injection:
    """slurmd dies, its tasks run on; it comes back, at times only after Slurm has given the task to another node."""
    return (yield from _without(ground, rng, "lose-slurmd"))


def node_set_down(ground: Ground, people: People, rng: random.Random) -> Injection:
    """An administrator takes a node away and gives it back."""
    node = _healthy(ground, rng)
    if node is None:
        return False
    ground.hurt.add(node)
    ground.cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=chaos")
    happened = ground.cluster.nodes()[node].startswith("down")
    yield rng.uniform(1, 4)
    _obeyed(ground, "scontrol", "update", f"nodename={node}", "state=resume")  # it may be back by itself
    back = yield from _until(lambda: not ground.cluster.nodes()[node].startswith("down"), SOON_S)
    ground.hurt.discard(node)
    return happened and back


def controller_killed(ground: Ground, people: People, rng: random.Random) -> Injection:
    """slurmctld crashes and is started again; nobody else acts meanwhile but the people."""
    ground.cluster.fault("kill-controller")
    time.sleep(rng.uniform(0.5, 2))
    ground.cluster.fault("start-controller")
    return True
    yield


def sbatch_late(ground: Ground, people: People, rng: random.Random) -> Injection:
    """sbatch takes the job and answers seconds later."""
    return (yield from _ordered(ground, people, rng, "late"))


def sbatch_lost(ground: Ground, people: People, rng: random.Random) -> Injection:
    """sbatch takes the job and says that the socket timed out."""
    return (yield from _ordered(ground, people, rng, "lost"))


def sbatch_refused(ground: Ground, people: People, rng: random.Random) -> Injection:
    """sbatch does not take the job and says that the socket timed out."""
    return (yield from _ordered(ground, people, rng, "refused"))


def sbatch_silent(ground: Ground, people: People, rng: random.Random) -> Injection:
    """sbatch takes the job and never answers; seconds later whoever sent it loses the connection."""
    return (yield from _ordered(ground, people, rng, "silent"))


def disk_full(ground: Ground, people: People, rng: random.Random) -> Injection:
    """The disk of the results is full for a while; where none could be mounted, it is read-only for us instead."""
    if not ground.mounted:
        return (yield from _read_only(ground.project.results, rng))
    ballast = ground.project.results / BALLAST
    if ballast.exists():
        return False
    full = _fill(ballast)
    yield rng.uniform(1, 4)
    full = _fill(ballast) or full
    yield rng.uniform(0.5, 2)
    ballast.unlink()
    return full


def writer_stopped(ground: Ground, people: People, rng: random.Random) -> Injection:
    """A worker stops between the write of a part and its rename, and is killed there or goes on seconds later."""
    order = ground.folder / noted.STOP
    order.touch()
    stopped = yield from _until(lambda: next(ground.folder.glob("stopped.*"), None), SOON_S)
    order.unlink(missing_ok=True)
    if not (found := next(ground.folder.glob("stopped.*"), None)):
        return False
    found.unlink()
    pid = int(found.suffix[1:])
    happened = yield from _until(lambda: _state(pid) == "T", 2)
    yield rng.uniform(1, 5)
    with suppress(ProcessLookupError):
        os.kill(pid, rng.choice([signal.SIGKILL, signal.SIGCONT]))
    return stopped and happened


def two_submits(ground: Ground, people: People, rng: random.Random) -> Injection:
    """Two people submit at the same moment."""
    return (yield from _together(people, ("sweep", "submit", SWEEP, "--yes"), ("sweep", "submit", SWEEP, "--yes", "--chain")))


def two_aggregates(ground: Ground, people: People, rng: random.Random) -> Injection:
    """Two people aggregate at the same moment."""
    return (yield from _together(people, *[("results", "aggregate", SWEEP)] * 2))


def two_compacts(ground: Ground, people: People, rng: random.Random) -> Injection:
    """Two people merge the parts of the store at the same moment, beside the tasks that write."""
    return (yield from _together(people, *[("results", "compact")] * 2))


def compact_killed(ground: Ground, people: People, rng: random.Random) -> Injection:
    """A merging of parts is killed at any moment."""
    return (yield from _killed_early(people, rng, "results", "compact"))


def submit_killed(ground: Ground, people: People, rng: random.Random) -> Injection:
    """A person's submit is killed at any moment."""
    return (yield from _killed_early(people, rng, "sweep", "submit", SWEEP, "--yes", "--chain"))


DECK: dict[str, Callable[[Ground, People, random.Random], Injection]] = {
    "task killed -9": task_killed,
    "task cancelled": task_cancelled,
    "task requeued": task_requeued,
    "task preempted": task_preempted,
    "task told of its time limit": task_timed_out,
    "node killed": node_killed,
    "node lost, tasks alive": node_lost,
    "node set down": node_set_down,
    "controller killed": controller_killed,
    "sbatch late": sbatch_late,
    "sbatch's answer lost": sbatch_lost,
    "sbatch refused": sbatch_refused,
    "sbatch silent": sbatch_silent,
    "disk full": disk_full,
    "writer stopped": writer_stopped,
    "two submits at once": two_submits,
    "two aggregates at once": two_aggregates,
    "two compacts at once": two_compacts,
    "submit killed -9": submit_killed,
    "compact killed -9": compact_killed,
}


def _struck(ground: Ground, rng: random.Random, *command: str) -> Injection:
    running = ground.running()
    if not running:
        return False
    element, _ = rng.choice(running)
    if not _obeyed(ground, *command, element):
        return False
    return (yield from _until(lambda: not _runs(ground, element), SOON_S))


def _obeyed(ground: Ground, *command: str) -> bool:
    """Whether Slurm did so; it does not where the task has just ended."""
    try:
        ground.cluster.run(*command)
    except AssertionError:
        return False
    return True


def _without(ground: Ground, rng: random.Random, fault: str) -> Injection:
    node = _healthy(ground, rng)
    if node is None:
        return False
    ground.hurt.add(node)
    ground.cluster.fault(fault, node)
    away = ground.away_s if fault == "lose-slurmd" and rng.random() < 0.5 else rng.uniform(1, 4)
    yield away
    bring_back(ground, node)
    return True


def mend(ground: Ground) -> None:
    """All that injections broke and could not mend themselves, because the cluster was in too bad a state just then."""
    for file in (ground.project.results / BALLAST, ground.folder / "sbatch", ground.folder / noted.STOP):
        file.unlink(missing_ok=True)
    for found in ground.folder.glob("stopped.*"):
        with suppress(ProcessLookupError):
            os.kill(int(found.suffix[1:]), signal.SIGCONT)
    ground.cluster.fault("start-controller")
    for node in sorted(ground.cluster.nodes()):
        bring_back(ground, node)


def bring_back(ground: Ground, node: str) -> None:
    """slurmd is started, and the node is resumed where Slurm has put it aside meanwhile."""
    with suppress(AssertionError):
        ground.cluster.fault("start-node", node)
    ground.hurt.discard(node)
    resume_nodes(ground)


def resume_nodes(ground: Ground) -> None:
    """An administrator's work: nodes that Slurm has put aside, for a task that would not die or one sent twice, take jobs again."""
    for node, state in ground.cluster.nodes().items():
        if node not in ground.hurt and state.startswith(("drain", "down")):
            _obeyed(ground, "scontrol", "update", f"nodename={node}", "state=resume")


def _ordered(ground: Ground, people: People, rng: random.Random, order: str) -> Injection:
    """Tell the next sbatch of a person what to do, see to it that there is something to send, and wait until it was done."""
    taken = ground.folder / f"taken.{order}"
    if (ground.folder / "sbatch").exists() or taken.exists():
        return False
    (ground.folder / "sbatch").write_text(order)
    if running := ground.running():
        _obeyed(ground, "scancel", rng.choice(running)[0])
    asking = people.ask("sweep", "submit", SWEEP, "--yes")
    yield from _until(lambda: taken.exists() or next(asking, None) is None, 3 * SOON_S)
    (ground.folder / "sbatch").unlink(missing_ok=True)
    yield rng.uniform(1, 3)
    if order == "silent" and taken.exists():
        _end_of_the_connection(int(taken.read_text()))
    yield from asking
    happened = taken.exists()
    taken.unlink(missing_ok=True)
    return happened


def _end_of_the_connection(wrapper: int) -> None:
    """Kill a sbatch that does not answer with the command that waits for it: they are one process group."""
    with suppress(ProcessLookupError):
        os.killpg(os.getpgid(wrapper), signal.SIGKILL)


def _together(people: People, *commands: tuple[str, ...]) -> Injection:
    """Several commands begun at once; whether they were under way at the same time, and behaved."""
    asked = [people.ask(*words) for words in commands]
    for one in asked:
        next(one)
    yield LOOK_S
    waiting = list(asked)
    while waiting:
        for one in list(waiting):
            try:
                next(one)
            except StopIteration:
                waiting.remove(one)
        yield LOOK_S
    first, second = people.answers[-2:]
    return abs(first.seconds - second.seconds) < min(first.seconds, second.seconds)


def _killed_early(people: People, rng: random.Random, *words: str) -> Injection:
    process = people.start(*words)
    yield rng.uniform(0.3, 2)
    happened = process.poll() is None
    people.end(process)
    return happened


def _fill(ballast: Path) -> bool:
    """Write until nothing more goes; whether the disk said that it is full."""
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return True


def _read_only(results: Path, rng: random.Random) -> Injection:
    folders = [results, *(path for path in results.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    yield rng.uniform(1, 4)
    for folder in folders:
        folder.chmod(0o700)
    return True


def _healthy(ground: Ground, rng: random.Random) -> str | None:
    """A node that may be struck: one stays as it is."""
    nodes = sorted(set(ground.cluster.nodes()) - ground.hurt)
    return rng.choice(nodes) if len(nodes) > 1 else None


def _killed(pid: int) -> Injection:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return (yield from _until(lambda: _state(pid) in ("Z", None), SOON_S))


def _until(true: Callable[[], object], seconds: float) -> Injection:
    end = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < end:
        yield LOOK_S
    return bool(found)


def _runs(ground: Ground, element: str) -> bool:
    return element in dict(ground.running())


def _logs(ground: Ground, element: str) -> str:
    logs = ground.project.submissions.glob(f"*/slurm/{element}_0_log.out")
    return "".join(path.read_text(errors="replace") for path in logs)


def _state(pid: int) -> str | None:
    """R, S, T (stopped), Z (dead); None where there is none."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    return None

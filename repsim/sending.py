"""Owns sending a plan to Slurm: array after array, each exactly once, within what the cluster takes and the profile allows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from repsim import accounting, ceiling, cluster, code, intents, nodes, notify, planfile, sbatch, shares, submission, worker
from repsim.errors import ClusterError
from repsim.job import NETWORK, RunId
from repsim.pieces import Piece
from repsim.plan import Stage
from repsim.profile import Profile
from repsim.project import Project
from repsim.state import Standing, State
from repsim.submission import Submission
from repsim.sweep.expand import Sweep

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Sent:
    """One array that was sent."""

    submission: str
    job_id: str
    stage: str
    tasks: int
    runs: int


@dataclass(frozen=True)
class Order:
    """What all arrays of one call have in common."""

    project: Project
    sweep: Sweep
    states: Mapping[RunId, Standing]
    frozen: code.Code
    home: Path
    tell: Tell


@dataclass
class Sending:
    """Sends pieces in order; `sent` grows array by array, whatever ends it.

    Of each pool of cards: `lanes` are the job ids of its arrays, oldest first; `surplus` what of earlier ones must end before.
    """

    order: Order
    sent: list[Sent] = field(default_factory=list)
    lanes: dict[str, list[str]] = field(default_factory=dict)
    surplus: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def send(self, pieces: Sequence[Piece]) -> list[Sent]:
        """All of them. A limit of Slurm ends it once something was sent; other refusals and Ctrl-C are raised. The rest is told."""
        for place, piece in enumerate(self._limited(pieces)):
            try:
                self._one(piece)
            except (ClusterError, KeyboardInterrupt) as error:
                self._tell_rest(pieces[place:], error)
                if not self.sent or not isinstance(error, sbatch.LimitReached):
                    raise
                break
        return self.sent

    def _limited(self, pieces: Sequence[Piece]) -> list[Piece]:
        """The pieces with their share of `max_parallel`, and without nodes that are bad."""
        known = submission.every(self.order.project.submissions)

        def ask() -> list[cluster.Task]:
            return cluster.queue([one.name for one in known if not one.closed])

        tasks = ask()
        bad, found = nodes.suspects(nodes.faults(known, endings=accounting.remembered(self.order.project.cache))), list(pieces)
        for pool in dict.fromkeys(piece.part.pool for piece in pieces):
            places = [place for place, piece in enumerate(pieces) if piece.part.pool == pool]
            part, earlier = pieces[places[0]].part, ceiling.live(known, tasks, pool)
            self.lanes[pool] = [each.job for each in earlier]
            sizes, healthy = [len(pieces[place].tasks) for place in places], nodes.avoiding(part, bad)
            room = ceiling.share(earlier, sizes, part.max_parallel, ask, self.order.tell)
            self.surplus[pool] = room.after
            for place, share in zip(places, room.parallel, strict=True):
                found[place] = replace(found[place], part=healthy.model_copy(update={"max_parallel": share}))
        return found

    def _one(self, piece: Piece) -> None:
        makers = self._makers(piece) if piece.stage == "later" else ()
        if piece.stage == "later" and not makers:
            self.order.tell(f"{piece.runs:,} runs stay blocked: nothing is queued that makes their networks")
            return
        lane = self.lanes[piece.part.pool]
        place = shares.before(len(lane), piece.most)
        try:
            ahead = [] if place is None else [lane[place]]
            self._send(piece, tuple(dict.fromkeys([*makers, *ahead, *self.surplus[piece.part.pool]])))
        except sbatch.ParentGone as error:  # it ended while we were at it
            if all((self.order.project.artefacts / run / NETWORK).is_file() for run in piece.inputs):
                self._send(piece, ())
            else:
                why = f"what makes their networks is over ({error.what})"
                self.order.tell(f"{piece.runs:,} runs stay blocked: {why}; submit again")

    def _send(self, piece: Piece, after: tuple[str, ...]) -> None:
        def record() -> Submission:
            one = recorded(self.order, piece)
            notify.wish(one, piece.part.notify)
            return one

        def deliver(one: Submission) -> str:
            return sbatch.send(written(one, self.order.home, piece.part, after), piece.part)

        one = intents.send(record, deliver, self.order.tell)
        job = (one.sent or {})["job_id"]
        self.sent.append(Sent(one.name, job, piece.stage, len(piece.tasks), piece.runs))
        self.lanes[piece.part.pool].append(job)

    def _makers(self, piece: Piece) -> list[str]:
        """Job ids of the arrays, just sent or still alive, that make the networks which `piece` waits for."""
        states = self.order.states
        busy = {states[i].submission for i in piece.inputs if states[i].state in (State.RUNNING, State.PENDING)}
        earlier = [one.sent for one in submission.every(self.order.project.submissions) if one.name in busy]
        ids = [sent.job_id for sent in self.sent if sent.stage == "networks"]
        return list(dict.fromkeys(ids + [how["job_id"] for how in earlier if how and "job_id" in how]))

    def _tell_rest(self, pieces: Sequence[Piece], error: BaseException) -> None:
        tasks, runs = sum(len(piece.tasks) for piece in pieces), sum(piece.runs for piece in pieces)
        why = error.what if isinstance(error, ClusterError) else "interrupted"
        self.order.tell(f"{tasks:,} tasks with {runs:,} runs were not sent ({why}); submit again sends them, what was sent stays")


def recorded(order: Order, piece: Piece, root: Path | None = None) -> Submission:
    """The submission of one piece, on disk before anything is sent."""
    part, stage = piece.part, Stage(piece.stage, piece.tasks)
    also = {"pool": part.pool, "parallel": part.max_parallel, "mem_gb": part.mem_gb, "gpus_per_task": part.gpus_per_task}
    return planfile.record(order.project, order.sweep, stage, part.device, order.home, order.frozen, part.timeout_min, also, root)


def written(one: Submission, home: Path, part: Profile, after: tuple[str, ...]) -> Path:
    """The batch script of a submission, with all that its tasks need."""
    from repsim import batchscript  # here, as submitit is slow to import and most commands send nothing

    array = batchscript.Array(one.name, one.slurm, len(one.plan["tasks"]), home, one.folder / "withdrawn", after)
    return batchscript.write(part, array, worker.run_pack, one.folder / "plan.json")

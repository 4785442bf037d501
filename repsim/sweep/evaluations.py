"""Owns the evaluations that a person asks for by hand: networks and attacks → a sweep of one run for each two of them."""

from collections.abc import Sequence
from typing import Any

from repsim import job as jobs
from repsim import store, yamlfile
from repsim.errors import SpecError
from repsim.project import Project
from repsim.sweep import known, single
from repsim.sweep import networks as zoo
from repsim.sweep.expand import Run, Sweep, as_run
from repsim.sweep.spec import Spec

EVALUATE = "evaluate"
HERE = "repsim zoo eval"
STEPS = "10,20,50"
Attack = dict[str, Any]
"""Fields of the job's Config; none for the clean images alone."""


def sweep_of(project: Project, names: Sequence[str], dataset: str | None, images: int | None, attacks: Sequence[Attack]) -> Sweep:
    """A sweep of evaluations under the ids that any sweep would give them; checked as a sweep is.

    Args:
        names: of networks (`known.find`); one named twice counts once.
        dataset: what to score them on (None: each on what it was trained on).
        images: so many test images (None: all).

    Raises: InputError for networks and data sets, SpecError for fields that cannot be meant.
    """
    job = jobs.load(project.jobs, EVALUATE)
    there = known.everything(project)
    runs: dict[str, Run] = {}
    for one in (known.find(project, there, name, "NETWORK") for name in names):
        place = {**zoo.alone(one, job), **({} if dataset is None else {"dataset": dataset}), "test_images": images}
        for attack in attacks:
            config = single.config_of(job, {**place, **attack}, HERE)
            single.check(job, config, project, [one], HERE)
            run = as_run(job, config, {"case": None, "arch": one.arch, "seed": one.seed})
            runs.setdefault(run.id, run)
    return Sweep(EVALUATE, project.root, Spec(job=EVALUATE), {EVALUATE: job}, (), tuple(runs.values()))


def attacks_of(robust: bool, autoattack: bool, steps: str | None, restarts: int | None, epsilon: str | None) -> list[Attack]:
    """PGD of each number of `steps`, then AutoAttack, as far as asked for; without either one empty attack."""
    _refuse_without("--robust", robust, {"--steps": steps, "--restarts": restarts})
    _refuse_without("--robust or --autoattack", robust or autoattack, {"--epsilon": epsilon})
    ball = {} if epsilon is None else {"epsilon": yamlfile.parse(f"epsilon: {epsilon}", "--epsilon")["epsilon"]}
    tries = {} if restarts is None else {"restarts": restarts}
    found = [{"attack": "pgd", "attack_steps": n, **tries, **ball} for n in _numbers(steps or STEPS)] if robust else []
    return [*found, *([{"attack": "autoattack", **ball}] if autoattack else [])] or [{}]


def rows(project: Project, sweep: Sweep) -> list[dict[str, Any]]:
    """The stored rows of the sweep, in the order of its runs; those not computed are left out."""
    ids = [run.id for run in sweep.runs]
    found = {row["run_id"]: row for row in store.read(project.store, sweep.jobs[EVALUATE], ids=ids).to_pylist()}
    return [found[run] for run in ids if run in found]


def _refuse_without(needed: str, there: bool, options: dict[str, Any]) -> None:
    for name, value in options.items():
        if value is not None and not there:
            raise SpecError(f"says nothing without {needed}", where=name, do=f"add {needed}, or leave it out")


def _numbers(text: str) -> list[int]:
    """ "10,20" → [10, 20]."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() for word in words):
        raise SpecError(f"'{text}' is no list of numbers of steps", where="--steps", do=f"write them as in --steps {STEPS}")
    return sorted({int(word) for word in words})

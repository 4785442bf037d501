"""A project without torch: its jobs square numbers and make networks that are no more than files."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repsim import cost, planfile, reconcile
from repsim import plan as planning
from repsim.code import Code
from repsim.cost import Rate
from repsim.errors import SpecError, nearest
from repsim.job import NETWORK, NetworkFacts
from repsim.plan import Limits, Plan
from repsim.profile import Profile
from repsim.project import Project
from repsim.state import Standing, State
from repsim.submission import Submission
from repsim.sweep.expand import Run, Sweep, open_sweep

SOURCE = Path(__file__).parent.parent / "toy_project"
PYDANTIC = re.compile(r"function-|LayerGrid|list\[|BaseModel|instance of|valid (str|dict|list|bool|int)|Value error|pydantic|None")
"""What no message may hold."""
LOCAL = Profile(cluster="local", device="cpu")

_KINDS = {"conv": "Conv2d", "bn": "BatchNorm2d", "relu": "ReLU", "block": "block", "fc": "Linear"}
_LAYERS = {
    "net": ["conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "fc"],
    "other": ["conv1", "relu1", "block.0", "block.1", "fc"],
}


def sheet(facts: NetworkFacts) -> list[dict[str, Any]]:
    """The layer sheet that the child process with torch would give; the channels of a layer grow with its place."""
    if facts.arch not in _LAYERS:
        raise SpecError(f"there is no architecture '{facts.arch}'", where="arch", do=nearest(facts.arch, _LAYERS))
    width = facts.width or 4
    return [
        {
            "name": name,
            "kind": _KINDS[name.rstrip("0123456789").split(".")[0]],
            "shape": [width, 8, 8],
            "parameters": 0,
            "carries": 0,
        }
        for name in _LAYERS[facts.arch]
    ]


def make(folder: Path) -> Project:
    """A fresh copy of the toy project in `folder`."""
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return Project(folder)


def sweep(project: Project, text: str, name: str = "toy") -> Sweep:
    """The expanded sweep of a YAML text."""
    path = project.sweeps / f"{name}.yaml"
    path.write_text(text)
    return open_sweep(path, project)


def plan(project: Project, wanted: Sweep, profile: Profile = LOCAL, also: tuple[State, ...] = ()) -> Plan:
    """What is missing of a sweep."""
    return reconcile.make_plan(project, wanted, states(project, wanted), profile, "cpu", also)


def run(project: Project, wanted: Sweep, also: tuple[State, ...] = ()) -> list[str]:
    """Compute here what is missing of a sweep; the outcome of each group."""
    return reconcile.run_here(project, wanted, plan(project, wanted, also=also), "cpu", 1, lambda *_: None)


def states(project: Project, wanted: Sweep) -> Mapping[str, Standing]:
    """The standing of every run; the toy project has no queue."""
    return reconcile.standings(project, wanted, no_queue)


def submission(project: Project, wanted: Sweep, stage: str = "runs", **limits: Any) -> Submission:
    """A submission of all runs of one stage, as if nothing were stored; nothing is sent."""
    new = {run.id: Standing(State.NEW) for run in wanted.all_runs}

    def weigh(runs: Sequence[Run]) -> list[tuple[float, Rate]]:
        """Each of its size, and a second long."""
        works = cost.works(wanted.jobs[runs[0].job], [run.config for run in runs], wanted.catalog, "cpu")
        return [(work, Rate(1 / work, 1 / work, 0)) for work in works]

    made = planning.make(wanted, new, Limits(**limits), weigh).stage(stage)
    assert made
    return planfile.record(project, wanted, made, "cpu", project.root, Code(None, None, "0"), 60)


def no_queue() -> list:
    """For the places where the queue must not be asked."""
    raise AssertionError("the queue was asked")


def network_file(project: Project, run: str) -> Path:
    """Where the network of a run lies."""
    return project.artefacts / run / NETWORK

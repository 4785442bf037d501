"""Owns the trainings that a person asks for by flags: architectures, a data set, seeds and fields → a sweep."""

from collections.abc import Sequence
from typing import Any

from repsim import yamlfile
from repsim.errors import SpecError
from repsim.project import Project
from repsim.sweep.expand import Sweep, expand
from repsim.sweep.networks import TRAIN
from repsim.sweep.spec import RANGE, Spec

HERE = "repsim zoo train"
NAME = "zoo-train"
BY_NAME = ("arch", "dataset", "seed", "seeds", "imported")
"""Fields that have flags of their own."""


def sweep_of(project: Project, arch: Sequence[str], dataset: str | None, seeds: str, fields: dict[str, Any]) -> Sweep:
    """A sweep of one training per architecture and seed, under the ids that any sweep gives them; checked as a sweep is.

    Args:
        seeds: "3", "0..31" or "0,2,5".
        fields: further fields of the training job's Config.
    """
    for flag, value in (("--arch", arch), ("--dataset", dataset)):
        if not value:
            raise SpecError(f"says no {flag.removeprefix('--')}", where=HERE, do=f"name it with {flag}, or name a sweep file")
    for key in fields.keys() & set(BY_NAME):
        raise SpecError(f"'{key}' has a flag of its own", where=f"--set {key}", do="say --arch, --dataset or --seeds")
    block = {"arch": list(arch), "dataset": dataset, "seeds": _seeds(seeds), **fields}
    spec = yamlfile.validate(Spec, {"job": TRAIN, "zoo": block}, HERE)
    return expand(spec, project, NAME, project.root, HERE)


def _seeds(text: str) -> Any:
    """A number, a list, or what the sweep file's own grammar says of it."""
    words = [word.strip() for word in text.split(",")]
    if all(word.isascii() and word.isdigit() for word in words):
        return [int(word) for word in words]
    if not RANGE.fullmatch(text):
        raise SpecError(f"'{text}' is no list of seeds", where="--seeds", do="write 3, 0..31 or 0,2,5")
    return text

"""Owns profiles: where runs are computed, as a file under slurm/ says it. Nothing in one changes a result or an id."""

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, model_validator

from repsim import hardware, sbatchoptions, yamlfile
from repsim.errors import SpecError, nearest
from repsim.notify import Notify
from repsim.yamlfile import Strict

Name = Annotated[str, Field(pattern=r"^[\w.-]+$")]
Names = Annotated[str, Field(pattern=r"^[\w.,-]+$")]
Features = Annotated[str, Field(pattern=r"^[\w.&|\[\]*()-]+$")]


class Target(Strict):
    """Some of the cards that a profile may use: what it says stands in place of the profile's own keys."""

    partition: Names | None = None
    gpu: Name | None = None
    constraint: Features | None = None
    cpus_per_task: int | None = Field(default=None, ge=1, le=1024)
    mem_gb: float | None = Field(default=None, gt=0)
    timeout_min: int | None = Field(default=None, ge=1)
    max_parallel: int | None = Field(default=None, ge=1)


class Profile(Strict):
    """What each task asks for, how runs become tasks, and how a task starts; slurm/gpu.yaml explains every key."""

    cluster: Literal["slurm", "local"] = "slurm"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    partition: Names | None = None
    account: Name | None = None
    qos: Name | None = None
    constraint: Features | None = None
    gpus_per_task: int = Field(default=0, ge=0, le=64)
    gpu: Name | None = None
    cpus_per_task: int = Field(default=1, ge=1, le=1024)
    mem_gb: float = Field(default=4.0, gt=0)
    timeout_min: int = Field(default=120, ge=1)
    max_parallel: int = Field(default=16, ge=1)
    targets: list[Target] = []
    pack_min: float = Field(default=60.0, gt=0)
    budget: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    min_tasks: int = Field(default=1, ge=1)
    signal_s: int = Field(default=120, ge=5)
    setup: list[str] = []
    env: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = {}
    python: Annotated[str, Field(pattern=r"^[^\n]+$")] | None = None
    slurm: dict[str, str | int | bool] = {}
    notify: Notify | None = None
    _origin: str = PrivateAttr(default="the profile")

    @model_validator(mode="after")
    def _warns_in_time(self) -> "Profile":
        shortest = min(self.timeout_min, self.shortest_min)
        if self.signal_s >= 60 * shortest:
            raise ValueError(f"signal_s is {self.signal_s} s, but a task ends after timeout_min, {60 * shortest} s")
        if "pack_min" in self.model_fields_set and self.cluster == "slurm" and self.pack_min > shortest:
            raise ValueError(f"pack_min is {self.pack_min:g} min of work, but a task ends after timeout_min, {shortest} min")
        if not self.gpus_per_task and (self.gpu or any(target.gpu for target in self.targets)):
            raise ValueError("gpu names a card, but gpus_per_task asks for none: write gpus_per_task: 1")
        return self

    @property
    def origin(self) -> str:
        """The file that it was read from, for errors."""
        return self._origin

    @property
    def parts(self) -> tuple["Profile", ...]:
        """One profile for each target, with the target's keys in place of its own; itself without targets."""
        said = (target.model_dump(exclude_none=True) for target in self.targets)
        return tuple(self.model_copy(update={"targets": [], **keys}) for keys in said) or (self,)

    def asking(self, mem_gb: float, timeout_min: int) -> "Profile":
        """The same with this memory (GB) and time (minutes) for a task; what targets ask for grows in proportion."""
        memory, time = mem_gb / self.mem_gb, timeout_min / self.timeout_min
        targets = [
            each.model_copy(
                update={
                    "mem_gb": each.mem_gb and memory * each.mem_gb,
                    "timeout_min": each.timeout_min and math.ceil(time * each.timeout_min),
                }
            )
            for each in self.targets
        ]
        return self.model_copy(update={"mem_gb": mem_gb, "timeout_min": timeout_min, "targets": targets})

    @property
    def shortest_min(self) -> int:
        """Time limit (minutes) that a task must keep wherever it goes."""
        return min(part.timeout_min for part in self.parts)

    @property
    def pool(self) -> str:
        """The cards that `max_parallel` counts: arrays of equal pool share it."""
        return ":".join(filter(None, (self.partition or "default", self.gpu, self.constraint)))


def load_profile(folder: Path, name: str) -> Profile:
    """The profile slurm/NAME.yaml."""
    path, known = folder / f"{name}.yaml", [p.stem for p in folder.glob("*.yaml")]
    if name not in known:
        raise SpecError(f"there is no profile '{name}'", where=str(folder), do=nearest(name, known))
    found = yamlfile.validate(Profile, yamlfile.read(path, "cluster: slurm"), str(path))
    found = found.model_copy(update={"slurm": sbatchoptions.check(found.slurm, found.gpus_per_task, str(path))})
    found._origin = str(path)
    return found


def device_of(profile: Profile) -> str:
    """The device whose measured rates a plan uses; on a cluster `auto` means its GPUs where tasks hold one."""
    if profile.device != "auto":
        return profile.device
    return "cuda" if profile.gpus_per_task else hardware.pick_device("auto")

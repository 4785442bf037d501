"""Owns what is written down of a training, epoch by epoch."""

from dataclasses import asdict, dataclass, field, fields
from math import nan
from typing import Any


@dataclass
class Point:
    """One epoch of one network.

    Attributes:
        epoch: from 1.
        rate: learning rate of its last step.
        train_loss, train_accuracy: means over its steps, as trained on (augmented, labels smoothed, weights moving); the
            accuracy is nan where the loss is not the plain one.
        seconds: of training since the start, for all networks trained at once; scoring not counted.
        accuracy, loss: on images not trained on, after the epoch; nan where they were not scored.
    """

    epoch: int
    rate: float
    train_loss: float
    train_accuracy: float
    seconds: float
    accuracy: float = nan
    loss: float = nan


@dataclass
class Curve:
    """The epochs of one network. `diverged`: a loss, a weight or a running statistic was not finite after the last one."""

    points: list[Point] = field(default_factory=list)
    diverged: bool = False

    @property
    def losses(self) -> tuple[float, ...]:
        return tuple(point.train_loss for point in self.points)

    def columns(self) -> dict[str, list[float]]:
        """One value per epoch of everything that a point has."""
        return {field.name: [float(getattr(point, field.name)) for point in self.points] for field in fields(Point)}

    def plain(self) -> dict[str, Any]:
        """As data that a file can hold."""
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> "Curve":
        """What `plain` gave."""
        return cls([Point(**point) for point in data["points"]], data["diverged"])

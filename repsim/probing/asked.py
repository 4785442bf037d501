"""Owns what is asked of a group of probes, and what came of each, as plain values."""

from dataclasses import dataclass

from repsim.probing.rows import Site
from repsim.probing.scores import Score
from repsim.stitching.runs import Training


@dataclass(frozen=True)
class Asked:
    """One probe.

    Attributes:
        key: names it.
        site: which rows it reads.
        rank: the layer is replaced by its best approximation of this rank first; None: as it is.
        ridge: λ of the closed form; None: validation chooses.
        training: how it is trained by gradient descent; None: the closed form.
        seed: of its random start.
    """

    key: str
    site: Site
    rank: int | None = None
    ridge: float | None = None
    training: Training | None = None
    seed: int = 0


@dataclass(frozen=True)
class Probed:
    """What came of one probe; `score` and `null` are None where its training diverged.

    Attributes:
        score: on the test images; `null`: of the same probe fitted to the labels of other images.
        validation: its accuracy on the validation images; None where there are none.
        ridge: λ that it was fitted with; None: trained.
        explained: share of the layer's variance that its rank keeps, on the training images.
        width: values in a row.
        train_loss: mean cross-entropy of the last epoch's steps; None: not trained.
    """

    asked: Asked
    score: Score | None
    null: Score | None
    validation: float | None
    ridge: float | None
    explained: float
    width: int
    train_loss: float | None = None


@dataclass(frozen=True)
class Results:
    """All probes of one network, in the order asked.

    Attributes:
        network: accuracy of the network itself on the test images.
        majority: accuracy of naming the class that is most frequent among the training images.
        images: test images.
    """

    probed: list[Probed]
    network: float
    majority: float
    images: int

"""Owns the scores of probes: one pass over images for all heads of all sites, and for the network itself."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from repsim.probing.ridge import Heads
from repsim.probing.rows import Eye, Seen, Site
from repsim.robustness import calibration

Batches = Iterable[tuple[Tensor, Tensor]]
Name = TypeVar("Name", bound=Hashable)


class Bench(NamedTuple):
    """Heads at one site whose outputs are alike: logits, or (`logits` False) estimates of the one-hot label."""

    site: Site
    logits: bool


class Score(NamedTuple):
    """What one head scored.

    Attributes:
        accuracy: share of the images put into the right class, by the largest output.
        brier: mean squared distance of the outputs from the one-hot label; of the softmax where they are logits.
        loss: mean cross-entropy in nats, and `ece` the top-label calibration error in 15 bins; None where outputs are no logits.
    """

    accuracy: float
    brier: float
    loss: float | None
    ece: float | None


@dataclass
class Tally:
    """Sums over images of K heads, fp64."""

    logits: bool
    images: int = 0
    sums: Tensor | None = None  # (3, K): right, squared distances, losses
    confidence: list[Tensor] = field(default_factory=list)
    hits: list[Tensor] = field(default_factory=list)

    def add(self, outputs: Tensor, y: Tensor) -> None:
        """Outputs (K, n, C) for images of the classes y (n,)."""
        hit = outputs.argmax(-1) == y
        shares = outputs.softmax(-1) if self.logits else outputs
        distances = (shares - functional.one_hot(y, outputs.shape[-1])).square().sum((1, 2))
        losses = _losses(outputs, y).sum(1) if self.logits else torch.zeros_like(distances)
        found = torch.stack((hit.sum(1).double(), distances.double(), losses.double()))
        self.sums = found if self.sums is None else self.sums + found
        self.images += len(y)
        if self.logits:
            self.confidence.append(shares.amax(-1).cpu())
            self.hits.append(hit.cpu())

    def scores(self) -> list[Score]:
        """One for each head."""
        assert self.sums is not None, "no image came"
        accuracies, briers, losses = (self.sums / self.images).tolist()
        if not self.logits:
            return [Score(*each, None, None) for each in zip(accuracies, briers, strict=True)]
        confidence, hits = torch.cat(self.confidence, 1), torch.cat(self.hits, 1)
        errors = [calibration.expected_error(*each) for each in zip(confidence, hits, strict=True)]
        return [Score(*each) for each in zip(accuracies, briers, losses, errors, strict=True)]


@dataclass(frozen=True)
class Scored(Generic[Name]):
    """The scores of the heads of each name, the accuracy of the network itself, and how many images of each class there were."""

    heads: dict[Name, list[Score]]
    network: float
    counts: Tensor


@torch.no_grad()
def score(eye: Eye, batches: Batches, heads: Mapping[Name, tuple[Bench, Heads]], classes: int) -> Scored[Name]:
    """All heads on one forward of each batch, those of one bench as one product."""
    benches: dict[Bench, list[Name]] = {}
    for name, (bench, _) in heads.items():
        benches.setdefault(bench, []).append(name)
    whole = {bench: joined(heads[name][1] for name in names) for bench, names in benches.items()}
    tallies, right, counts = {bench: Tally(bench.logits) for bench in benches}, [], torch.zeros(classes, dtype=torch.long)
    see: Callable[[Tensor], Seen] = eye.reader(logits=True)
    for x, y in batches:
        seen = see(x)
        rows = {site: seen.rows(site) for site in dict.fromkeys(bench.site for bench in benches)}
        for bench, tally in tallies.items():
            tally.add(whole[bench](rows[bench.site]), y.to(whole[bench].bias.device))
        assert seen.logits is not None
        right.append((seen.logits.argmax(1) == y).sum())
        counts += torch.bincount(y.cpu(), minlength=classes)
    each = {bench: iter(tally.scores()) for bench, tally in tallies.items()}
    found = {name: [next(each[bench]) for _ in own.bias] for name, (bench, own) in heads.items()}
    return Scored(found, int(torch.stack(right).sum()) / int(counts.sum()), counts)


def joined(heads: Iterable[Heads]) -> Heads:
    """All of them as one."""
    weights, biases = zip(*heads, strict=True)
    return Heads(torch.cat(weights), torch.cat(biases))


def _losses(outputs: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy (K, n)."""
    return functional.cross_entropy(outputs.flatten(0, 1), y.repeat(len(outputs)), reduction="none").unflatten(0, outputs.shape[:2])

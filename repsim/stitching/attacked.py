"""Owns what attacks leave of a group: f, g and stitched networks, each under its own attack and on the images of the others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Generator, Tensor

from repsim.robustness import losses
from repsim.robustness.attacks import Logits
from repsim.robustness.ensemble import Ensemble
from repsim.robustness.fooling import Tick, followed
from repsim.robustness.linf import Linf
from repsim.stitching.evaluation import Entry
from repsim.stitching.pair import Batch, Pair
from repsim.stitching.shifts import Cosines, Shifts
from repsim.stitching.whole import Whole

FRONT, END, STITCHED = "front", "end", "stitched"
Who = Literal["front", "end", "stitched"]


@dataclass(frozen=True)
class Attack:
    """What f, g and the stitched network are attacked with, on how many images (None: all); all meet the same starts."""

    kind: Literal["pgd", "autoattack"]
    linf: Linf
    seed: int
    images: int | None = None


@dataclass
class Attacked:
    """Counts over `images` images; all dictionaries by network.

    Attributes:
        falls: the step (n,) at which each image is first put into a wrong class, else NEVER; see `fooling.Ascent`.
        right: (scored, attacked) → images that the one puts right at the last iterate of the attack on the other; pgd.
        cosines: how far the own attack turns the value of each layer; pgd.
    """

    steps: int
    images: int = 0
    falls: dict[str, Tensor] = field(default_factory=dict)
    right: dict[tuple[str, str], int] = field(default_factory=dict)
    cosines: dict[str, Mapping[str, float]] = field(default_factory=dict)

    def add(self, right: Mapping[tuple[str, str], int], images: int) -> None:
        """Count a batch."""
        self.images += images
        self.right = {pair: self.right.get(pair, 0) + count for pair, count in right.items()}

    def end(self, victims: "Mapping[str, Victim]") -> None:
        """Take what the networks have found over all batches."""
        self.falls = {who: victim.falls for who, victim in victims.items()}
        self.cosines = {who: victim.cosines for who, victim in victims.items()}

    def robust(self, who: Who, steps: int | None = None) -> float:
        """Share of the images that stand up to and with step `steps` (None: the last) of the own attack."""
        return float((self.falls[who] > (self.steps if steps is None else steps)).double().mean())

    def transferred(self, scored: Who, attacked: Who) -> float:
        """Accuracy of the one network on the images made against the other."""
        return self.right[scored, attacked] / self.images


class Victim:
    """One network under one attack, batch after batch."""

    def __init__(self, network: Logits, attack: Attack, shifts: Shifts):
        self.network, self._attack = network, attack
        self._generator = Generator().manual_seed(attack.seed)
        self._falls: list[Tensor] = []
        self._cosines = Cosines(shifts)

    def attack(self, x: Tensor, y: Tensor, tick: Tick) -> Tensor | None:
        """The images made against it, (n, c, h, w); None where the attack does not show them."""
        with torch.no_grad():
            right = losses.right(self.network(x), y)
        if self._attack.kind == "autoattack":
            ensemble = Ensemble(self._attack.linf.epsilon, self._attack.seed)
            self._falls.append(ensemble(self.network, x, y, right, tick).cpu())
            return None
        falls, made = followed(self.network, x, y, right, self._attack.linf, self._generator, tick)
        self._falls.append(falls.cpu())
        self._cosines.add(x, made)
        return made

    @property
    def falls(self) -> Tensor:
        return torch.cat(self._falls)

    @property
    def cosines(self) -> dict[str, float]:
        return self._cosines.means()


def measure(
    pair: Pair, asked: Mapping[str, tuple[Entry, Attack]], batches: Iterable[Batch], tick: Tick = lambda: None
) -> dict[str, Attacked]:
    """By key of what was asked: f, g and the entry attacked, on one pass over `batches`. f and g are attacked once for all.

    Args:
        asked: entries as they are evaluated, with what they are attacked with.
        tick: called before each pass through a network.
    """
    attacks = dict.fromkeys(attack for _, attack in asked.values())
    donors = {attack: _donors(pair, attack) for attack in attacks}
    stitched = {key: _stitched(pair, entry, attack) for key, (entry, attack) in asked.items()}
    found = {key: Attacked(attack.linf.steps if attack.kind == "pgd" else 0) for key, (_, attack) in asked.items()}
    for x, y in batches:
        theirs = {attack: _attack_all(victims, x, y, tick) for attack, victims in donors.items()}
        shared = {attack: _right(victims, theirs[attack], y) for attack, victims in donors.items()}
        for key, (_, attack) in asked.items():
            victim = {STITCHED: stitched[key]}
            own = _attack_all(victim, x, y, tick)
            others = _right(donors[attack], own, y) | _right(victim, theirs[attack] | own, y)
            found[key].add(shared[attack] | others, len(y))
    for key, (_, attack) in asked.items():
        found[key].end({**donors[attack], STITCHED: stitched[key]})
    return found


def _donors(pair: Pair, attack: Attack) -> dict[str, Victim]:
    return {
        FRONT: Victim(pair.front, attack, Shifts.of_front(pair)),
        END: Victim(pair.end, attack, Shifts.of_end(pair)),
    }


def _stitched(pair: Pair, entry: Entry, attack: Attack) -> Victim:
    return Victim(Whole(pair, [entry]), attack, Shifts.of_stitched(pair, entry))


@torch.no_grad()
def _right(scored: Mapping[str, Victim], made: Mapping[str, Tensor | None], y: Tensor) -> dict[tuple[str, str], int]:
    """(scored, attacked) → how many of the images made against the one the other puts right."""
    shown = {who: images for who, images in made.items() if images is not None}
    return {
        (one, other): int(losses.right(victim.network(images), y).sum())
        for one, victim in scored.items()
        for other, images in shown.items()
    }


def _attack_all(victims: Mapping[str, Victim], x: Tensor, y: Tensor, tick: Tick) -> dict[str, Tensor | None]:
    return {who: victim.attack(x, y, tick) for who, victim in victims.items()}

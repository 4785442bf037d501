"""Owns the objectives of a stitcher: what its output is compared with, and what is added to that.

All losses are per stitcher, (K,), of K stitchers side by side; every one is a mean over the images of the batch, so
that the gradient of their sum is each stitcher's own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from repsim.robustness.linf import Adversary
from repsim.stitching.pair import Reading

CUT, LOGITS = "cut", "logits"  # names that latents may give besides layers
SAFETY = 16  # how many times the rounding of a value is still rounding


@dataclass(frozen=True)
class Objective:
    """What a stitcher minimises.

    Attributes:
        target: a key of `TARGETS`.
        temperature: T of the soft targets.
        latents: (layer, weight): "cut", "logits", or a layer of g behind the cut.
        l1: adds l1 · mean|W| (Csiszárik et al. 2021).
        cka_reg: adds cka_reg · CKA(stitched value, g's own value).
        adversary: in place of the plain loss of labels, one of attacked images (see `adversarial`).
    """

    target: str = "hard"
    temperature: float = 1.0
    latents: tuple[tuple[str, float], ...] = ()
    l1: float = 0.0
    cka_reg: float = 0.0
    adversary: Adversary | None = None

    @property
    def needs_suffix(self) -> bool:
        """Whether anything behind the cut has a say."""
        return self.target != "match"

    @property
    def needs_clean(self) -> bool:
        """Whether the images as they are pass f and the stitcher; Madry's loss reads attacked ones alone."""
        return self.adversary is None or self.adversary.kind == "trades"

    @property
    def also(self) -> tuple[str, ...]:
        """Layers behind the cut whose stitched values count."""
        return tuple(layer for layer, _ in self.latents if layer not in (CUT, LOGITS))

    @property
    def needs_value(self) -> bool:
        """Whether g's own value at the cut is compared with."""
        return self.target == "match" or self.cka_reg != 0 or any(layer == CUT for layer, _ in self.latents)

    @property
    def needs_front_logits(self) -> bool:
        return self.target in ("soft_1", "soft_12", "soft_1_plus_2")

    @property
    def needs_end_logits(self) -> bool:
        return self.target in ("soft_2", "soft_12", "soft_1_plus_2") or any(layer == LOGITS for layer, _ in self.latents)


@dataclass(frozen=True)
class Outputs:
    """What K stitchers at one cut made of a batch of n images, each tensor (K, n, …).

    Attributes:
        end_layer: the cut in g.
        stitched: values at the cut.
        logits: (K, n, classes), or None where nothing behind the cut was run.
        values: by layer behind the cut.
    """

    end_layer: str
    stitched: Tensor
    logits: Tensor | None
    values: Mapping[str, Tensor]

    def of(self, members: list[int]) -> "Outputs":
        """Those of some stitchers only."""
        if len(members) == len(self.stitched):
            return self
        logits = None if self.logits is None else self.logits[members]
        return Outputs(self.end_layer, self.stitched[members], logits, {name: v[members] for name, v in self.values.items()})


def losses(objective: Objective, outputs: Outputs, reading: Reading, labels: Tensor) -> Tensor:
    """The mean loss (K,) of K stitchers with one objective; without what depends on their weights alone."""
    loss = TARGETS[objective.target](objective, outputs, reading, labels)
    if objective.cka_reg:
        loss = loss + objective.cka_reg * batch_cka(outputs.stitched, reading.end[outputs.end_layer])
    return loss


def hard(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy (K,) of logits (K, n, classes) to labels (n,)."""
    each = functional.cross_entropy(logits.flatten(0, 1), labels.repeat(len(logits)), reduction="none")
    return each.unflatten(0, (len(logits), -1)).mean(-1)


def soft(logits: Tensor, wanted: Tensor, temperature: float = 1.0) -> Tensor:
    """−Σ_c softmax(wanted/T)_c · log softmax(logits/T)_c, averaged over the images: (K,).

    Logits (K, n, classes), wanted (n, classes). No factor T² is applied, as in Csiszárik et al. 2021.
    """
    share = (wanted / temperature).softmax(-1)
    return -((logits / temperature).log_softmax(-1) * share).sum(-1).mean(-1)


def match(stitched: Tensor, own: Tensor) -> Tensor:
    """Σ‖S(f) − g‖² / Σ‖g − ḡ‖² (K,) at the cut: stitched (K, n, …), g's own (n, …), ḡ the batch mean of each channel.

    Where g does not vary by more than rounding (one image of a vector), the denominator is Σ‖g‖², or 1 where g is 0.
    """
    channel = 2 if own.dim() == 3 else 1  # tokens (n, t, d) have their channels last
    others = [axis for axis in range(own.dim()) if axis != channel]
    spread, size = (own - own.mean(others, keepdim=True)).square().sum(), own.square().sum()
    return (stitched - own).flatten(1).square().sum(-1) / _divisor(torch.where(_is_rounding(spread, size), size, spread))


def latent(stitched: Tensor, own: Tensor) -> Tensor:
    """‖h(stitched) − h(g)‖² / ‖h(g)‖² (K,) of values (K, n, …) and (n, …) (Athanasiadis et al. 2025).

    Where h(g) is 0 the denominator is 1.
    """
    return (stitched - own).flatten(1).square().sum(-1) / _divisor(own.square().sum())


def batch_cka(stitched: Tensor, own: Tensor) -> Tensor:
    """‖XᵀY‖² / (‖XᵀX‖‖YᵀY‖) (K,) on centred rows, one for each image and position (Kornblith et al. 2019, §3).

    0, with a gradient of 0, where one side does not vary by more than rounding: a constant layer, or a single row.
    """
    x, x_constant = _rows(stitched.float())
    y, y_constant = _rows(own.float()[None])
    constant = x_constant | y_constant
    cross = (x.mT @ y).square().sum((-1, -2))
    return (cross / (_norm(x, constant) * _norm(y, constant))).masked_fill(constant, 0.0)


def _norm(rows: Tensor, constant: Tensor) -> Tensor:
    """‖XᵀX‖_F (K,), and 1 where it is not needed: before the root, whose slope at 0 is infinite."""
    return (rows.mT @ rows).square().sum((-1, -2)).masked_fill(constant, 1.0).sqrt()


def _rows(values: Tensor) -> tuple[Tensor, Tensor]:
    """(K, n, …) → (K, rows, channels), centred, at most about 1; and which of the K are constant."""
    last = values if values.dim() == 4 else values.movedim(2, -1)  # (K, n, t, d): tokens have their channels last
    rows = last.flatten(1, -2)
    # CKA does not care about a factor, but fourth powers of small or large values leave the range of fp32
    rows = rows / _divisor(rows.detach().abs().amax((1, 2), keepdim=True))
    centred = rows - rows.mean(1, keepdim=True)
    with torch.no_grad():
        return centred, _is_rounding(centred.square().sum((1, 2)), rows.square().sum((1, 2)))


def _is_rounding(spread: Tensor, size: Tensor) -> Tensor:
    """Whether a sum of squares around the mean is no more than the rounding of values whose squares sum to `size`; never of NaN."""
    return spread <= (SAFETY * torch.finfo(spread.dtype).eps) ** 2 * size


def _divisor(size: Tensor) -> Tensor:
    """`size`, and 1 where it is as good as 0."""
    return size.masked_fill(size < torch.finfo(size.dtype).tiny, 1.0)


def _logits(outputs: Outputs) -> Tensor:
    assert outputs.logits is not None, "this target needs the logits"
    return outputs.logits


def _of_front(o: Objective, out: Outputs, reading: Reading, _: Tensor) -> Tensor:
    return soft(_logits(out), _known(reading.front_logits), o.temperature)


def _of_end(o: Objective, out: Outputs, reading: Reading, _: Tensor) -> Tensor:
    return soft(_logits(out), _known(reading.end_logits), o.temperature)


def _mean_of_losses(o: Objective, out: Outputs, reading: Reading, labels: Tensor) -> Tensor:
    return (_of_front(o, out, reading, labels) + _of_end(o, out, reading, labels)) / 2


def _of_mean_logits(o: Objective, out: Outputs, reading: Reading, _: Tensor) -> Tensor:
    return soft(_logits(out), (_known(reading.front_logits) + _known(reading.end_logits)) / 2, o.temperature)


def _latents(o: Objective, out: Outputs, reading: Reading, _: Tensor) -> Tensor:
    there = {CUT: out.stitched, LOGITS: out.logits, **out.values}
    own = {CUT: reading.end.get(out.end_layer), LOGITS: reading.end_logits, **reading.end}
    terms = [weight * latent(_known(there[layer]), _known(own[layer])) for layer, weight in o.latents]
    return torch.stack(terms).sum(0)


def _known(tensor: Tensor | None) -> Tensor:
    assert tensor is not None, "the reading lacks what this target needs"
    return tensor.float()


Target = Callable[[Objective, Outputs, Reading, Tensor], Tensor]
TARGETS: dict[str, Target] = {
    "hard": lambda o, out, reading, labels: hard(_logits(out), labels),
    "soft_1": _of_front,
    "soft_2": _of_end,
    "soft_12": _mean_of_losses,
    "soft_1_plus_2": _of_mean_logits,
    "match": lambda o, out, reading, labels: match(out.stitched, _known(reading.end[out.end_layer])),
    "latents": _latents,
}

"""Owns what the fields of a stitch mean to the engine: its pair of networks, its stitchers, and the file that keeps one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from repsim.data import altered
from repsim.data.splits import Splits, divide
from repsim.models import checkpoint
from repsim.stitching import attack_rules, controls, rules, saved
from repsim.stitching.asked import Asked, Family
from repsim.stitching.attacked import Attack
from repsim.stitching.group import Measured
from repsim.stitching.pair import Pair
from repsim.stitching.runs import Training
from repsim.stitching.targets import Objective


def pair(configs: Sequence[Any], artefacts: Path, device: str) -> Pair:
    """The two networks of a group, from their files, with all its layers. fp32 means fp32 on a GPU too, not TF32."""
    c = configs[0]
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    layers = [c.front_layer for c in configs], [c.end_layer for c in configs]
    front = checkpoint.of_run(artefacts / c.front_network, c.front_epoch, "front_epoch")
    end = checkpoint.of_run(artefacts / c.end_network, c.end_epoch, "end_epoch")
    return Pair(front.to(device), end.to(device), *layers, precision=c.precision)


def control_(pair: Pair, c: Any, images: Splits) -> None:
    """Put into the place of f's values what the negative control of the Config `c` says."""
    pair.shuffled = c.control == "shuffled"
    if c.control in rules.STANDS_IN:
        splits = [part for part in (images.train, images.match, images.validation, images.test) if part is not None]
        pair.stand_in = controls.stand_in(c.control, c.control_seed, pair.front, splits)


def splits(c: Any, context: Any) -> Splits:
    """The images of a group on the device; `context` is that of the job. Raises InputError if there are not enough."""
    places = context.data_folders, context.cache, context.device
    wanted = {"train": c.train_images, "match": c.match_images, "validation": c.validation_images, "test": c.test_images}
    found = divide(c.dataset, *places, **wanted)
    return found if c.shortcut is None else _cued(found, c.shortcut)


def _cued(found: Splits, right: float) -> Splits:
    train, match, test = (altered.cued(part, right) for part in (found.train, found.match, found.test))
    return Splits(train, match, found.validation and altered.cued(found.validation, right), test)


def asked(c: Any, key: str) -> Asked:
    """What the Config `c` of run `key` asks for."""
    return Asked(
        key=key,
        front_layer=c.front_layer,
        end_layer=c.end_layer,
        family=_family(c),
        init=c.init,
        seed=c.seed,
        training=Training(c.epochs, c.optimizer, c.lr, c.weight_decay, c.momentum, c.schedule),
        select=c.select,
        objective=Objective(c.target, c.temperature, rules.latents_of(c.latents), c.l1, c.cka_reg, attack_rules.adversary(c)),
        crossval=rules.candidates_of(c.crossval),
        controls=c.controls,
        attack=None if c.attack == "none" else Attack(c.attack, attack_rules.tested(c), c.test_seed, c.attacked_images),
        truncations=c.truncations,
    )


def keep(each: Measured, config: dict[str, Any], path: Path) -> None:
    """Write W and b before and after, and the learning curve; `repsim.stitching.saved.load` reads them back.

    A diverged stitcher is kept as it is: it cannot be rounded.
    """
    entry = each.run.selected
    scored = entry.stitcher if each.run.diverged else entry.stitcher.rounded()
    end, raw, start = scored.applied(), entry.stitcher.applied(), each.candidate.start
    kept = saved.Saved(
        end.weight,
        end.bias,
        end.scales,
        start=saved.Map(start.weight, start.bias, start.scales),
        unrounded=saved.Map(raw.weight, raw.bias, raw.scales),
        curve=each.run.curve,
        config=config,
        alignment=dict(scored.alignment.named_parameters()),
        statistics=entry.statistics or {},
    )
    saved.save(kept, path)


def _family(c: Any) -> Family:
    options, joint = (
        tuple((name, getattr(c, name)) for name in names if getattr(c, name) is not None)
        for names in (rules.OPTIONS[c.stitcher], rules.JOINT)
    )
    return Family(c.stitcher, options, joint, c.mask, c.ridge, c.front_stitch_rank, c.front_match_rank)

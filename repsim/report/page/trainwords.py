"""Owns what a methods text says of networks: how they were trained, which epoch of them counts, and how they are scored."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from repsim.report.page import controlwords
from repsim.report.page.citations import cite
from repsim.report.page.saying import distinct, listed, span

Config = Mapping[str, Any]
SOURCES = {"frankenstein": "csiszarik2021", "madry": "balogh2023", "modelsym": "godfrey2022", "stitching_ood": "balogh2025"}
ADVERSARIES = {"madry": "madry2018", "trades": "zhang2019"}
SHOWN = ("optimizer", "lr", "weight_decay", "schedule", "warmup", "batch_size", "augment", "label_smoothing", "clip", "ema")
IDLE = (0.0, "none", "fp32")  # values that change nothing


def trainings(configs: Sequence[Any], chosen: Callable[[Any], Any]) -> Iterator[str]:
    """Each way to train once; `chosen` resolves a configuration to its recipe's values."""
    ways: dict[str, dict[str, None]] = {}
    for config in configs:
        said = _recipe(config.recipe, asdict(chosen(config)))
        ways.setdefault(said, {})[config.arch] = None
    for said, archs in ways.items():
        yield f"{listed(archs)}: {said}."
    averaged = ", as the average of the weights where ema says so" if any("ema" in said for said in ways) else ""
    yield from _besides([config.model_dump() for config in configs], averaged)


def _recipe(name: str, recipe: Config) -> str:
    """recipe quick, 12 epochs, optimizer sgd with Nesterov momentum 0.9, lr 0.1, …"""
    parts = [f"{field.replace('_', ' ')} {_said(recipe[field])}" for field in SHOWN if recipe[field] not in IDLE]
    if recipe["optimizer"] == "sgd":
        parts[0] += f" with Nesterov momentum {recipe['momentum']:g}"
    parts += [f"precision {recipe['precision']}"] if recipe["precision"] not in IDLE else []
    if (adversary := recipe["adversary"]) not in IDLE:
        how = f"L∞ {recipe['epsilon']:.3g} (pixels in [0, 1]), {recipe['attack_steps']} steps of {recipe['attack_step']:.3g}"
        beta = f", β = {recipe['beta']:g}" if adversary == "trades" else ""
        parts += [f"adversarial training {adversary}{cite(ADVERSARIES.get(adversary))} ({how}{beta})"]
    source = cite(SOURCES.get(name), "kingma2015" if recipe["optimizer"] == "adam" else None)
    return f"trained by the recipe {name}{source}, {recipe['epochs']} epochs, {', '.join(parts)}"


def _besides(configs: Sequence[Config], averaged: str) -> Iterator[str]:
    """Which epoch counts, and what was done to images and labels."""
    images = [one for one in distinct(configs, "train_images") if one is not None]
    yield from [f"Networks are trained on {span(images, '{:,}')} training images."] if images else []
    noise = [one for one in distinct(configs, "label_noise") if one]
    yield from [f"A share of {span(noise)} of the training labels is drawn anew, uniform over all classes."] if noise else []
    cues = [one for one in distinct(configs, "shortcut") if one is not None]
    yield from [f"A cue in every image names its class with probability {span(cues)}."] if cues else []
    held = [one for one in distinct(configs, "validation") if one]
    on = f"{span(held, '{:,}')} held-out training images" if held else "the test images"
    yield f"The last epoch counts{averaged}; learning curves are of {on} and choose nothing."


def scores(configs: Sequence[Config], dataset: str, counts: Sequence[int]) -> Iterator[str]:
    """On what networks are scored, and what is left under each attack."""
    number = f"{span(counts, '{:,}')} " if counts else ""
    ece = f"top-label expected calibration error in 15 bins of equal width{cite('guo2017')}"
    yield f"Networks are scored on {number}test images of {dataset}: accuracy, mean cross-entropy, and {ece}."
    attacked = [one for one in configs if one["attack"] != "none"]
    if not attacked:
        return
    yield from controlwords.attacks(attacked)
    radius = listed((f"{one:.3g}" for one in distinct(attacked, "epsilon")), "or")
    pgd = [one for one in attacked if one["attack"] == "pgd"]
    lengths = distinct([{"step": one["attack_step"] or one["epsilon"] / 4} for one in pgd], "step")
    steps = f"{span(distinct(pgd, 'attack_steps'))} steps of {listed(f'{one:.3g}' for one in lengths)}" if pgd else ""
    tries = f", {span(distinct(pgd, 'restarts'))} restarts, start {listed(distinct(pgd, 'attack_start'), 'or')}" if pgd else ""
    yield f"They move pixels in [0, 1] by {radius} at most (L∞){f'; pgd: {steps}{tries}' if pgd else ''}."
    yield "Robust accuracy is the share of answers that are right on the clean image and on every image that the attack made."


def _said(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

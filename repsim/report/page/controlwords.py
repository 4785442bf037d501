"""Owns what a methods text says of what stands in f's place or is done to its images: negative controls and attacks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repsim.report.page.citations import cite
from repsim.report.page.saying import distinct, listed, shortly

CONTROLS = {
    "untrained": "f's architecture with weights drawn anew and never trained",
    "shuffled": "f itself, but S is matched and trained with each value of f beside the value and label of another image",
    "clusters": "normal noise (σ = 0.5) around a standard normal centre per class, which tells no more of an image than its label",
    "random_clusters": "the same noise around a centre drawn for each image, whatever its class",
}
SOURCES = {"untrained": "bansal2021", "clusters": "smith2025", "random_clusters": "smith2025"}
ATTACKS = {"pgd": "madry2018", "autoattack": "croce2020"}


def controls(configs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What takes the place of f's values; nothing where f stands for itself alone."""
    found = [str(one) for one in distinct(configs, "control") if one]
    if not found:
        return
    seeds = distinct([one for one in configs if one["control"] not in (None, "shuffled")], "control_seed")
    said = "; ".join(f"{one}, {CONTROLS.get(one, one)}{cite(SOURCES.get(one))}" for one in found)
    yield f"Negative controls in the place of f's values: {said}{f' (seed {shortly(seeds)})' if seeds else ''}."


def attacks(configs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What the networks are scored under, beside clean images."""
    if found := [str(one) for one in distinct(configs, "attack") if one not in (None, "none")]:
        yield f"Attacks: {listed(found)}{cite('balogh2023', *map(ATTACKS.get, found))}."

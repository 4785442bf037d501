"""Owns what a methods text says of stitching: what S is in each case, how it is matched or trained, and what its penalty is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repsim.report.counts import number
from repsim.report.page.citations import cite
from repsim.report.page.saying import distinct, listed, span

Config = Mapping[str, Any]
FAMILIES = {
    "linear": "an affine map of the channels",
    "lasso": "an affine map with the penalty λ‖W‖₁, entries below 1e-4 cut before it is scored",
    "lowrank": "an affine map of limited rank",
    "orthogonal": "an orthogonal map with bias",
    "permutation": "a permutation of the channels",
    "wreath": "a permutation with a scale per channel, relaxed by SoftSort",
    "birkhoff": "a doubly stochastic matrix found by projected gradient, scored as the permutation it is rounded to",
}
SOURCES = {"permutation": "godfrey2022", "birkhoff": "godfrey2022", "wreath": "prillo2020", "linear": "csiszarik2021"}
STARTS = {
    "random": "from a random start",
    "ps_inv": "from the least-squares solution",
    "matched": "from the direct-matching optimum of its family",
    "eye": "from the identity",
    "perm": "from a random permutation",
    "zeros": "from zero",
    "ones-zeros": "from the rectangular identity",
}
TARGETS = {
    "hard": "the cross-entropy of the labels",
    "soft_1": "the cross-entropy with the answers of f",
    "soft_2": "the cross-entropy with the answers of g",
    "soft_12": "the mean of the losses to the answers of f and of g",
    "soft_1_plus_2": "the loss to the mean of the answers of f and g",
    "match": "the squared distance to the activations of g at the cut",
    "latents": "functional latent alignment",
}
NORMS = {
    "frozen": "batch norms of g behind the cut stay as they are",
    "train": "batch norms of g behind the cut use the statistics of each batch, with running statistics of each stitcher",
    "reestimate": "batch norms of g behind the cut are re-estimated for each stitcher before it is scored",
}
SELECTED = {
    "validation": "The epoch that counts is chosen on validation images held out of the training split, never on test images",
    "last": "The last epoch counts",
    "test_best": "The epoch that counts is the best on the test images",
}
SHARED = ("epochs", "optimizer", "lr", "momentum", "weight_decay", "schedule", "batch_size", "augment")
DEFAULTS = {"momentum": 0.0, "weight_decay": 0.0, "augment": "none"}


def stitched(configs: Sequence[Config], pairs: int, layers: Sequence[str]) -> Iterator[str]:
    """What a stitched network is, how many there are, and what g's batch norms do."""
    same = all(one["front_layer"] == one["end_layer"] for one in configs)
    where = "at the same layer of both" if same else "at pairs of layers"
    yield (
        f"A stitched network is g behind a layer ∘ S ∘ f up to a layer, with f and g frozen{cite('lenc2015', 'bansal2021')}. "
        f"{number(pairs, 'pair')} of networks are stitched {where} ({number(len(layers), 'layer')}: {listed(layers)})."
    )
    if norms := [NORMS.get(str(one), str(one)) for one in distinct(configs, "batchnorm")]:
        yield listed(norms, "or").capitalize() + "."


def cases(by_case: Mapping[str, Sequence[Config]]) -> Iterator[str]:
    """One sentence per case: the family, its fields, its start, and whether it is trained."""
    for name, configs in by_case.items():
        families = [_family(str(one), configs) for one in distinct(configs, "stitcher")]
        yield f"{name}: {listed(families)}, {_start(configs)}."


def _family(name: str, configs: Sequence[Config]) -> str:
    mine = [one for one in configs if one["stitcher"] == name]
    extra = [*_values(mine, "rank", "of rank"), *_values(mine, "lasso_weight", "λ ="), *_values(mine, "mask", "mask")]
    if name == "birkhoff":
        extra += ["with a non-negative scale per channel (G_ReLU)"] if mine[0].get("scales") else []
        how = {"euclidean": "projected exactly", "sinkhorn": f"projected by Sinkhorn sweeps{cite('sinkhorn1967')}"}
        extra += [listed(how[str(one)] for one in distinct(mine, "projection")), *_values(mine, "alpha", "α =")]
    return ", ".join([FAMILIES.get(name, name) + cite(SOURCES.get(name)), *extra])


def _values(configs: Sequence[Config], name: str, before: str) -> list[str]:
    values = [f"{one:g}" if isinstance(one, float) else str(one) for one in distinct(configs, name) if one is not None]
    return [f"{before} {listed(values)}"] if values else []


def _start(configs: Sequence[Config]) -> str:
    """Trained or not, from where."""
    starts = listed((STARTS.get(str(one), str(one)) for one in distinct(configs, "init")), "or")
    if any(distinct(configs, "epochs")):
        return f"trained {starts}"
    best = f"the direct-matching optimum itself{cite('csiszarik2021', 'balogh2025')}"
    return best if distinct(configs, "init") == ["matched"] else f"not trained, {starts}"


def training(by_case: Mapping[str, Sequence[Config]]) -> Iterator[str]:
    """How the trained ones are trained: each setting with its cases, what they learn from, and which epoch counts."""
    trained = {name: [one for one in configs if one.get("epochs")] for name, configs in by_case.items()}
    trained = {name: configs for name, configs in trained.items() if configs}
    if not trained:
        return
    settings: dict[str, list[str]] = {}
    for name, configs in trained.items():
        settings.setdefault("; ".join(setting(configs, field) for field in SHARED if is_said(configs, field)), []).append(name)
    for said, names in settings.items():
        who = "Trained stitchers" if len(settings) == 1 else listed(names)
        yield f"{who}: {said}{cite('kingma2015') if 'optimizer adam' in said else ''}."
    yield from _learning([one for configs in trained.values() for one in configs])


def _learning(trained: Sequence[Config]) -> Iterator[str]:
    """What is learned from, and which epoch counts."""
    targets = [str(one) for one in distinct(trained, "target")]
    if targets:
        said = listed((TARGETS.get(one, one) for one in targets), "or")
        yield f"They learn from {said}{cite('athanasiadis2025') if 'latents' in targets else ''}."
    if selected := [SELECTED.get(str(one), str(one)) for one in distinct(trained, "select")]:
        yield listed(selected, "or") + "."
    kinds = [str(one) for one in distinct(trained, "adversary") if one not in (None, "none")]
    if kinds:
        sources = {"madry": "madry2018", "trades": "zhang2019"}
        yield f"Stitchers are trained on attacked images ({listed(kinds)}){cite('balogh2023', *map(sources.get, kinds))}."


def is_said(configs: Sequence[Config], name: str) -> bool:
    """Whether the configurations have this setting, and any other value of it than what goes without saying."""
    return distinct(configs, name) not in ([], [DEFAULTS.get(name)])


def setting(configs: Sequence[Config], name: str) -> str:
    """lr 0.001 or 0.01; of epochs: 8 epochs."""
    values = [f"{one:g}" if isinstance(one, float) else str(one) for one in distinct(configs, name)]
    if name == "epochs":
        return f"{listed(values, 'or')} epoch{'' if values == ['1'] else 's'}"
    return f"{name.replace('_', ' ')} {listed(values, 'or')}"


def penalty(names: Sequence[str]) -> Iterator[str]:
    """What the numbers are; only those that are shown."""
    if "penalty" in names:
        yield "Stitching penalty: (accuracy of f + accuracy of g)/2 − accuracy of the stitched network, in accuracy points."
    if "penalty_end" in names:
        yield f"The penalty against the end network is accuracy of g − accuracy of the stitched network{cite('bansal2021')}."
    if "matched_penalty" in names:
        yield (
            "The matched penalty is that of the exact direct-matching optimum of the same family, found in closed form or by "
            f"convex optimisation from second moments of the activations{cite('csiszarik2021', 'balogh2025')}."
        )
    if "null_accuracy" in names:
        yield "The null is the same matching with every image of f beside another image of g."
    if "residual" in names:
        yield f"The residual is Σ‖S(f) − g‖² / Σ‖g − ḡ‖² at the cut, on the test images{cite('balogh2025')}."


def images(rows: Mapping[str, Sequence[int]], dataset: str, chosen: str = "the epoch") -> str:
    """How many images were trained on, chosen by and scored on, as the rows say."""
    said = {
        "train_images": "{} training images",
        "validation_images": f"{{}} more to choose {chosen}",
        "test_images": "{} test images",
    }
    parts = [words.format(span(rows[name], "{:,}")) for name, words in said.items() if any(rows.get(name, ()))]
    return f"Data: {dataset}; {', '.join(parts)}." if parts else f"Data: {dataset}."

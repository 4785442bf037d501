"""Owns what a methods text says of probes, lost ranks, rotations and detectors: what is measured, how, and beside what."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repsim.report.counts import number
from repsim.report.page import comparewords, stitchwords
from repsim.report.page.citations import DETECTORS, cite
from repsim.report.page.saying import distinct, listed, shortly, span

Config = Mapping[str, Any]
TRAINED = ("epochs", "optimizer", "lr", "momentum", "weight_decay", "schedule", "batch_size", "augment")
WAYS = ("task", "matched", "probe")  # of judging a layer of lost rank, beside the measures of similarity
MATRICES = {
    "identity": "the identity",
    "permutation": "a permutation",
    "g_relu": "a permutation times positive scales exp(σz − σ²/2), z standard normal",
    "orthogonal": "an orthogonal matrix, uniform (Haar)",
}
NORMS = {
    "train": "batch norms above the layer use each batch, and running statistics to be scored by",
    "frozen": "batch norms above the layer keep their running statistics",
}
STARTS = {"trained": "as they were trained", "fresh": "drawn anew"}
JUDGES = {
    "energy": "the energy of the classifier's logits after a fine-tuning that gives auxiliary outliers a high one",
    "msp": "−log of the classifier's largest probability",
    "mahalanobis": "the Mahalanobis distance of the pooled activation to the nearest class",
    "relative_mahalanobis": "that distance less the one to a single Gaussian of all classes",
}
CLASSIFIERS = {"fresh": "g's layers behind the cut with weights drawn anew", "suffix": "g's layers behind the cut as they are"}
SCORES = {
    "auroc": "AUROC is the chance that a stitched test activation scores higher than a native one; native is the positive class.",
    "aupr": "AUPR is the average precision of native against stitched activations.",
    "fpr95": "FPR95 is the share of stitched activations that pass where 95 % of the native ones do.",
}


def probes(configs: Sequence[Config], networks: int, layers: Sequence[str], views: Sequence[str]) -> Iterator[str]:
    """What a probe is, how each kind is fitted, and what stands beside its accuracy."""
    yield (
        f"A linear probe names the class of an image from the value of one layer of a frozen network{cite('alain2016')}. "
        f"{number(len(layers), 'layer')} of {number(networks, 'network')} are probed ({shortly(layers)})."
    )
    if views:
        yield f"Values become rows by {listed(f'{one} ({comparewords.VIEWS.get(one, one)})' for one in views)}."
    yield from _ranks(configs, "rank", "The layer")
    if ridge := [one for one in configs if one["fit"] == "ridge"]:
        given = [one for one in distinct(ridge, "ridge") if one is not None]
        chosen = "validation images choose λ from 1e-8 to 100" if None in distinct(ridge, "ridge") else ""
        said = " or ".join(filter(None, [chosen, f"λ = {listed(f'{one:g}' for one in given)}" if given else ""]))
        yield f"Ridge probes are the exact ridge regression of one-hot labels; {said} (in mean variances of a row's values)."
    if trained := [one for one in configs if one["fit"] == "sgd"]:
        yield f"Softmax probes are trained on the cross-entropy of the labels: {settings(trained)}; the last epoch counts."
    yield (
        "Accuracy is the share of test images put into the right class; beside it stand that of the same probe fitted to shuffled "
        "labels, that of always naming the most frequent class, and the network's own."
    )


def lost_ranks(configs: Sequence[Config], pairs: int, layers: Sequence[str], conventions: Sequence[str]) -> Iterator[str]:
    """By which ways a layer of f that lost rank is judged, and what each of them is."""
    ways = [str(one) for one in distinct(configs, "measure")]
    where = f"{number(pairs, 'pair')} of networks ({number(len(layers), 'layer')}: {shortly(layers)})"
    yield f"Layers of {where} are judged by {listed(ways)}{cite('balogh2025')}."
    yield from _ranks(configs, "rank", "f's layer")
    if task := [one for one in configs if one["measure"] == "task"]:
        start = listed((stitchwords.STARTS.get(str(one), str(one)) for one in distinct(task, "init")), "or")
        yield (
            f"task is the test accuracy of g behind its layer ∘ S ∘ f{cite('lenc2015', 'bansal2021')}, S affine, "
            f"trained on labels {start} by Adam{cite('kingma2015')}: {settings(task)}; validation images choose the epoch."
        )
    if "matched" in ways:
        yield f"matched is the same accuracy with the least-squares S{cite('csiszarik2021')}."
    if "probe" in ways:
        yield f"probe is the test accuracy of ridge regression of one-hot labels on f's layer, λ by validation{cite('alain2016')}."
    yield from comparewords.told([one for one in ways if one not in WAYS], conventions)


def rotations(configs: Sequence[Config], networks: int, layers: Sequence[str]) -> Iterator[str]:
    """What is inserted, what is retrained and how, and what the penalty is."""
    yield (
        "A fixed random matrix goes behind one layer, on the channels of each position; what lies below stays frozen, what "
        f"lies above is retrained{cite('godfrey2022')}. "
        f"{number(len(layers), 'layer')} of {number(networks, 'network')} are rotated ({shortly(layers)})."
    )
    kinds = [str(one) for one in distinct(configs, "matrix")]
    scaled = [one for one in configs if one["matrix"] == "g_relu"]
    sigma = f", σ = {_of(scaled, 'sigma')}" if scaled else ""
    seeds = number(len(distinct(configs, "matrix_seed")), "seed")
    yield f"Matrices: {'; '.join(f'{one}, {MATRICES.get(one, one)}' for one in kinds)}; {seeds}{sigma}."
    starts = listed((STARTS.get(str(one), str(one)) for one in distinct(configs, "start")), "or")
    yield f"Weights above the layer start {starts}. Retraining: {settings(configs)}{_adam(configs)}."
    norms = listed((NORMS.get(str(one), str(one)) for one in distinct(configs, "batchnorm")), "or")
    selected = listed((stitchwords.SELECTED[str(one)] for one in distinct(configs, "select")), "or")
    yield f"{selected}, of the control likewise; {norms}."
    yield "The rotation penalty is the accuracy of the same retraining with nothing inserted (the control) − the rotated network's."


def detectors(configs: Sequence[Config], names: Sequence[str]) -> Iterator[str]:
    """What judges the stitched activations, how it was made, what its numbers are, and what they must be checked by."""
    kinds = [str(one) for one in distinct(configs, "detector")]
    said = [f"{one}, {JUDGES.get(one, one)}{cite(DETECTORS.get(one))}" for one in kinds]
    yield f"Detectors are fitted on g's own training activations at the end layer and never see a stitched one: {'; '.join(said)}."
    if taught := [one for one in configs if one["detector"] in ("energy", "msp")]:
        what = listed((CLASSIFIERS.get(str(one), str(one)) for one in distinct(taught, "classifier")), "or")
        parts = [f"{_of(taught, 'classifier_epochs')} epochs of Adam{cite('kingma2015')}", f"lr {_of(taught, 'classifier_lr')}"]
        parts += [f"weight decay {_of(taught, 'classifier_weight_decay')}", f"batch size {_of(taught, 'classifier_batch_size')}"]
        yield f"The classifier of activations is {what}: {', '.join(parts)}."
    if tuned := [one for one in configs if one["detector"] == "energy"]:
        margins = f"margins {_of(tuned, 'margin_in')} (native) and {_of(tuned, 'margin_out')} (outliers)"
        weight = f"weight {_of(tuned, 'energy_weight')}"
        yield f"Fine-tuning: {_of(tuned, 'finetune_epochs')} epochs, outliers {_of(tuned, 'outliers')}, {margins}, {weight}."
    yield from (SCORES[name] for name in dict.fromkeys(["auroc", *names]) if name in SCORES)
    sanity = [str(one) for one in distinct(configs, "sanity") if one]
    checks = [f"g's own activations of other images ({listed(sanity)}; must be near 1)"] if sanity else []
    checks += ["one half of the native activations against the other (must be near 0.5)"]
    yield f"Beside it stand the AUROC of direct matching, of its null of shuffled pairs, of {listed(checks)}{cite('balogh2025')}."


def settings(configs: Sequence[Config]) -> str:
    """8 epochs; optimizer adam; lr 0.001; batch size 64."""
    without = () if "sgd" in distinct(configs, "optimizer") else ("momentum",)
    names = [name for name in TRAINED if name not in without and stitchwords.is_said(configs, name)]
    return "; ".join(stitchwords.setting(configs, name) for name in names)


def _adam(configs: Sequence[Config]) -> str:
    return cite("kingma2015") if "adam" in distinct(configs, "optimizer") else ""


def _ranks(configs: Sequence[Config], name: str, what: str) -> Iterator[str]:
    ranks = [one for one in distinct(configs, name) if one is not None]
    whole = " or stays as it is" if None in distinct(configs, name) else ""
    if ranks:
        yield f"{what} is replaced by its best approximation of rank {span(set(ranks))}{whole}."


def _of(configs: Sequence[Config], name: str) -> str:
    return listed((f"{one:g}" if isinstance(one, float) else one for one in distinct(configs, name)), "or")

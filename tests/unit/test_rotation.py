"""Retraining behind an inserted matrix: what it is equal to, what it leaves alone, and what a matrix costs at all."""

import copy
import math
from dataclasses import replace

import cut_networks
import pytest
import stitching_networks
import torch
from torch.nn import functional

from repsim.models import recipes
from repsim.models.cut import cuts
from repsim.models.learner import plain_loss
from repsim.models.recipes import Recipe
from repsim.models.switches import seed_layers, seed_of, switched
from repsim.rotation import prefix as prefixes
from repsim.rotation import retraining
from repsim.rotation.arms import Asked, arm
from repsim.rotation.inserted import Inserted
from repsim.rotation.matrices import draw, rotate
from repsim.rotation.prefix import Prefix

RECIPE = Recipe(2, 8, "adam", 1e-3, 1e-4, "quarters", "none", decays="weights")
ASKED = Asked("identity", 0, 1.0, "trained", 0, RECIPE, "train", "last")
STEPS = 3  # per epoch: 24 images in batches of 8


def tiny10():
    return stitching_networks.network()


def retrained(asked, layer="relu2", network=None, **feed):
    """Arms behind one layer, retrained on random images."""
    prefix = Prefix(network or tiny10(), layer)
    arms = [arm(one, prefix, STEPS, seed=5) for one in asked]
    original = retraining.measure(prefix, arms, stitching_networks.feed(**feed))
    return prefix, arms, original


def weights(network: Inserted, name: str) -> torch.Tensor:
    (found,) = (value for key, value in network.suffix.named_parameters() if key.endswith(name))
    return found


@pytest.mark.parametrize("layer", ["relu4", "conv5"])
def test_retraining_with_nothing_inserted_is_retraining_of_the_network_itself(layer):
    """A loop of its own over the whole network: layers up to the cut without gradient and in eval mode, Adam on the rest."""
    _, (mine,), _ = retrained([replace(ASKED, recipe=replace(RECIPE, epochs=1))], layer)
    whole = tiny10().to(memory_format=torch.channels_last)
    names = [name for name, _ in whole.body.named_children()]
    below, trained = names[: names.index(layer) + 1], []
    for name, module in whole.body.named_children():
        module.train(name not in below).requires_grad_(name not in below)
        trained += [] if name in below else list(module.named_parameters(prefix=name))
    groups = [
        {"params": [p for name, p in trained if name.endswith("weight") is decayed], "weight_decay": 1e-4 * decayed}
        for decayed in (True, False)
    ]
    optimizer = torch.optim.Adam(groups, lr=1e-3)
    for x, y, _ in stitching_networks.feed().shuffled():
        optimizer.zero_grad()
        functional.cross_entropy(whole(x), y).backward()
        optimizer.step()
    state = whole.state_dict()
    values = mine.network.values()
    assert sum(value.numel() for value in values.values()) > 50_000
    for name, value in values.items():
        assert torch.equal(value, state["body." + name.split("body.")[1]]), name


@pytest.mark.parametrize("layer", ["relu2", "relu5"])
@pytest.mark.parametrize("kind", ["g_relu", "orthogonal"])
def test_behind_a_relu_the_next_convolution_absorbs_any_matrix(kind, layer):
    """(W M⁻¹)(M x) = W x: no matrix takes anything away that a linear layer cannot give back."""
    assert error_after_compensation(layer, kind, f"conv{int(layer[-1]) + 1}") < 1e-4


@pytest.mark.parametrize("kind", ["permutation", "g_relu", "orthogonal"])
def test_before_a_relu_the_next_convolution_absorbs_a_g_relu_matrix_and_no_other(kind):
    error = error_after_compensation("bn2", kind, "conv3")
    assert error > 0.1 if kind == "orthogonal" else error < 1e-4


@pytest.mark.parametrize("kind", ["permutation", "g_relu"])
def test_before_a_batch_norm_and_a_relu_they_are_absorbed_by_norm_and_convolution(kind):
    """The norm takes the statistics of what it is given, and the permuted weights; the next convolution undoes the permutation."""
    prefix, x = Prefix(tiny10(), "conv2"), stitching_networks.images(16)[0]
    network = Inserted(prefix.suffix, draw(kind, 16, 3, sigma=0.5)).eval()
    matrix = network.matrix
    assert matrix is not None
    permutation = (matrix > 0).float()
    with torch.no_grad():
        (bn2,) = (module for name, module in network.suffix.named_modules() if name.endswith("bn2"))
        given = {bn2.running_mean: matrix, bn2.running_var: matrix.square(), bn2.weight: permutation, bn2.bias: permutation}
        for tensor, change in given.items():
            tensor.copy_(change @ tensor)
    inverted(weights(network, "conv3.weight"), permutation)
    assert relative_error(prefix, network, x) < 1e-3


def error_after_compensation(layer: str, kind: str, following: str) -> float:
    prefix, x = Prefix(tiny10(), layer), stitching_networks.images(16)[0]
    network = Inserted(prefix.suffix, draw(kind, prefix.shape[0], 3)).eval()
    assert relative_error(prefix, network, x) > 0.1
    assert network.matrix is not None
    inverted(weights(network, f"{following}.weight"), network.matrix)
    return relative_error(prefix, network, x)


@torch.no_grad()
def inverted(convolution: torch.Tensor, matrix: torch.Tensor) -> None:
    """W ← W M⁻¹ over the input channels."""
    convolution.copy_(torch.einsum("ojhw,ji->oihw", convolution.double(), torch.linalg.inv(matrix.double())))


@torch.no_grad()
def relative_error(prefix: Prefix, network: Inserted, x: torch.Tensor) -> float:
    logits = prefix.network(x)
    reading = prefix.reader(prefix.needs)(x)
    return float((network(prefix.inputs(reading)) - logits).norm() / logits.norm())


@pytest.mark.parametrize("form", cut_networks.FORMS)
@pytest.mark.parametrize("layer", ["layer2.0.bn1", "layer2.0", "layer3.1.relu1"])
def test_a_matrix_acts_on_the_layer_and_not_on_what_passes_it_by(monkeypatch, form, layer):
    """As a hook on the layer of the whole network does; inside a block the residual branch is carried as it is."""
    monkeypatch.setattr(prefixes, "cuts", cut_networks.FORMS[form])
    whole = cut_networks.network_of("resnet20").requires_grad_(False)
    prefix = Prefix(copy.deepcopy(whole), layer)
    network = Inserted(prefix.suffix, draw("orthogonal", prefix.shape[0], 1)).eval()
    x = cut_networks.images_for(whole)
    found = network(prefix.inputs(prefix.reader(prefix.needs)(x)))
    whole.body.get_submodule(layer).register_forward_hook(lambda _, __, made: rotate(made, network.matrix))
    assert torch.allclose(found, whole(x), atol=1e-4)
    found.sum().backward()
    trained = {name.split("body.")[-1].removeprefix("behind.") for name, p in network.named_parameters() if p.grad is not None}
    below = cuts(whole).names
    assert trained and not any(name.startswith(tuple(f"{one}." for one in below[: below.index("layer1.2")])) for name in trained)


def test_tokens_are_rotated_in_their_dimensions():
    whole = cut_networks.network_of("vit_tiny").requires_grad_(False)
    layer = next(name for name in cuts(whole).names if name.endswith("norm2"))
    prefix = Prefix(copy.deepcopy(whole), layer)
    network = Inserted(prefix.suffix, draw("orthogonal", prefix.shape[-1], 1)).eval()
    x = cut_networks.images_for(whole)
    found = network(prefix.inputs(prefix.reader(prefix.needs)(x)))
    whole.body.get_submodule(layer).register_forward_hook(lambda _, __, made: made @ network.matrix.T)
    assert torch.allclose(found, whole(x), atol=1e-4)


@pytest.mark.parametrize("keep", [False, True])
def test_an_arm_is_trained_in_its_group_as_it_is_alone(keep):
    asked = [
        ASKED,
        replace(ASKED, kind="orthogonal", matrix_seed=1),
        replace(ASKED, kind="g_relu", recipe=replace(RECIPE, optimizer="sgd", epochs=3)),
        replace(ASKED, start="fresh", start_seed=7),
    ]
    _, together, original = retrained(asked, "layer3.1.relu1", stitching_networks.network("resnet20", width=1), keep=keep)
    for mine in together:
        alone = retrained([mine.asked], "layer3.1.relu1", stitching_networks.network("resnet20", width=1), keep=keep)
        (other,) = alone[1]
        assert (mine.started, mine.scored, mine.curve, original) == (other.started, other.scored, other.curve, alone[2])
        values = other.network.values()
        assert all(torch.equal(value, values[name]) for name, value in mine.network.values().items())


def test_kept_readings_give_what_fresh_ones_give():
    asked = [replace(ASKED, kind="orthogonal")]
    fresh, kept = (retrained(asked, keep=keep)[1][0].network.values() for keep in (False, True))
    assert all(torch.allclose(fresh[name].float(), kept[name].float(), atol=1e-4) for name in fresh)


def test_the_network_itself_stays_as_it_was():
    network = tiny10()
    before = copy.deepcopy(network.state_dict())
    prefix, arms, _ = retrained([ASKED, replace(ASKED, kind="orthogonal")], network=network)
    assert all(torch.equal(value, before[name]) for name, value in prefix.network.state_dict().items())
    assert not any(p.requires_grad for p in prefix.network.parameters())
    assert all(not torch.equal(weights(one.network, "conv3.weight"), before["body.conv3.weight"]) for one in arms)


@pytest.mark.parametrize("norms", ["train", "frozen"])
def test_batch_norms_above_follow_the_batches_or_keep_their_statistics(norms):
    network = tiny10()
    _, (mine,), _ = retrained([replace(ASKED, kind="orthogonal", norms=norms)], network=network)
    values, before = mine.network.values(), network.state_dict()
    for name in ("bn3.running_mean", "bn8.running_var"):
        (now,) = (value for key, value in values.items() if key.endswith(name))
        assert torch.equal(now, before[f"body.{name}"]) is (norms == "frozen")
    assert not torch.equal(weights(mine.network, "bn3.weight"), before["body.bn3.weight"])


def test_a_fresh_start_has_the_weights_that_a_training_from_its_seed_begins_with():
    prefix = Prefix(tiny10(), "relu2")
    fresh = arm(replace(ASKED, start="fresh", start_seed=11), prefix, STEPS, 0).network.values()
    other = arm(replace(ASKED, start="fresh", start_seed=12), prefix, STEPS, 0).network.values()
    new = prefixes.zoo.build(prefix.network.facts, generator=torch.Generator().manual_seed(11)).state_dict()
    assert all(torch.equal(value, new["body." + name.split("body.")[1]]) for name, value in fresh.items())
    assert any(not torch.equal(value, other[name]) for name, value in fresh.items())


def test_the_best_epoch_by_validation_images_counts_and_test_images_choose_nothing():
    """Test images are asked for twice: before the first epoch and after the last."""
    asked = replace(ASKED, kind="g_relu", recipe=replace(RECIPE, epochs=6, lr=0.02), select="validation")
    passes = []
    feed = stitching_networks.feed(held_out=48)
    test = feed.test
    counted = replace(feed, test=lambda: passes.append(len(mine.curve)) or test())
    prefix = Prefix(tiny10(), "relu2")
    mine = arm(asked, prefix, STEPS, 0)
    retraining.measure(prefix, [mine], counted)
    curve = [point["validation_accuracy"] for point in mine.curve]
    assert passes == [0, 6]
    assert mine.judged and curve[mine.selected_epoch - 1] == max(curve) == mine.judged.accuracy
    assert mine.selected_epoch < 6, "else nothing is seen of taking values back"
    again = retraining.score(prefix, [mine.network], retraining.Fresh(prefix, prefix.needs), feed.validation())
    assert again[0].accuracy == max(curve)


def test_an_arm_that_diverges_leaves_the_others_alone():
    wild = replace(ASKED, recipe=replace(RECIPE, optimizer="sgd", lr=1e30))
    _, (mine, other), _ = retrained([wild, ASKED])
    _, (alone,), _ = retrained([ASKED])
    assert mine.diverged and mine.scored is None and mine.epochs_run == 1
    assert not other.diverged and other.scored == alone.scored


def test_dropout_draws_the_same_for_every_arm_and_leaves_the_global_generator_as_it_was():
    network = cut_networks.network_of("allcnn_v1")
    layer = cuts(network).names[2]
    prefix = Prefix(network, layer)
    state = torch.random.get_rng_state()
    x = cut_networks.images_for(network, 8)
    y = torch.arange(8) % 5
    inputs = prefix.inputs(prefix.reader(prefix.needs)(x))
    arms = [arm(ASKED, prefix, STEPS, seed=9) for _ in range(2)]
    with switched(prefix.device):
        for one in arms:
            one.network.train()
            one.learn(inputs, y)
    assert torch.equal(arms[0].losses[0], arms[1].losses[0])
    assert torch.equal(torch.random.get_rng_state(), state)
    twin = Inserted(prefix.suffix, None).train()
    with switched(prefix.device):
        seed_layers(prefix.device, seed_of(9, "layers", 1))
        expected = plain_loss(twin(inputs), y)
        different = plain_loss(twin(inputs), y)
    assert torch.equal(arms[0].losses[0], expected.detach() * 8)
    assert not math.isclose(expected.item(), different.item()), "there is dropout to speak of"


def test_the_learning_rate_follows_the_schedule_of_each_arm():
    prefix = Prefix(tiny10(), "relu7")
    mine = arm(replace(ASKED, recipe=replace(RECIPE, epochs=8)), prefix, STEPS, 0)
    rates = []
    x, y = stitching_networks.images(8)
    inputs = prefix.inputs(prefix.reader(prefix.needs)(x))
    with switched(prefix.device):
        for _ in range(8 * STEPS):
            mine.learn(inputs, y)
            rates.append(mine.optimizer.param_groups[0]["lr"])
    assert rates == [recipes.rate(mine.asked.recipe, (step + 0.5) / STEPS) for step in range(8 * STEPS)]
    assert sorted(set(rates), reverse=True) == [1e-3, 5e-4, 2.5e-4, 1.25e-4]

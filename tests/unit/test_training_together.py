"""Several networks trained at once are those that are trained alone; averages, clipping and precision, for one and for several."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from repsim.models import learner, optimizers, training, zoo
from repsim.models.average import EVERY, Average
from repsim.models.course import Course
from repsim.models.network import Facts
from repsim.models.recipes import Recipe

FULL = Recipe(
    *(2, 8, "sgd", 0.05, 0.01, "one_cycle", "none"), decays="weights", label_smoothing=0.1, bias_lr_scale=4.0, clip=0.5, ema=0.9
)
FACTS = {
    "mcnn": Facts("mcnn", 2, 4, 1, 8),
    "resnet20": Facts("resnet20", 1, 4, 1, 8),
    "tiny10": Facts("tiny10", None, 4, 1, 28),
}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def built(arch, seeds, dtype=torch.float64):
    return [zoo.build(FACTS[arch], generator=seeded(seed)).to(dtype) for seed in seeds]


def data(arch, dtype=torch.float64, n=20):
    """The last batch of an epoch is smaller."""
    facts = FACTS[arch]
    x = torch.rand(n, facts.channels, facts.size, facts.size, generator=seeded(9)).to(dtype)
    return x, torch.arange(n) % facts.classes


def epochs_of(x, y, size=8):
    def batches(generator, epoch):
        for index in torch.randperm(len(x), generator=generator).split(size):
            yield x[index] + 0.1 * torch.rand(len(index), 1, 1, 1, generator=generator), y[index], index

    return batches


def alone_and_together(arch, recipe, dtype=torch.float64, seeds=(3, 4, 5)):
    """Networks and curves of separate trainings, and of one for all."""
    x, y = data(arch, dtype)
    alone, together = built(arch, seeds, dtype), built(arch, seeds, dtype)
    curves = [training.train(net, epochs_of(x, y), recipe, seeded(seed), 3) for net, seed in zip(alone, seeds, strict=True)]
    at_once = training.train_together(together, epochs_of(x, y), recipe, [seeded(seed) for seed in seeds], 3)
    return (alone, curves), (together, at_once)


def assert_same(one, two, **tolerance):
    for mine, its in zip(one, two, strict=True):
        assert mine.state_dict().keys() == its.state_dict().keys()
        for name, value in mine.state_dict().items():
            torch.testing.assert_close(value, its.state_dict()[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("arch", FACTS)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_networks_trained_at_once_equal_those_trained_alone(arch, optimizer):
    recipe = replace(FULL, optimizer=optimizer, lr=0.05 if optimizer == "sgd" else 1e-3)
    (alone, curves), (together, at_once) = alone_and_together(arch, recipe)
    assert_same(alone, together, rtol=1e-8, atol=1e-9)
    for one, other in zip(curves, at_once, strict=True):
        assert one.losses == pytest.approx(other.losses, rel=1e-6)  # losses are read in float32
        assert one.columns()["train_accuracy"] == other.columns()["train_accuracy"]
    assert not torch.equal(together[0].state_dict()["body.fc.weight"], together[1].state_dict()["body.fc.weight"])


def test_in_single_precision_they_are_equal_to_rounding():
    (alone, _), (together, _) = alone_and_together("mcnn", FULL, torch.float32)
    assert_same(alone, together, rtol=1e-4, atol=1e-5)


def test_a_network_that_diverges_leaves_the_others_as_they_are():
    x, y = data("mcnn")
    networks, alone = built("mcnn", (3, 4)), built("mcnn", (4,))[0]
    nn.init.constant_(networks[0].body.fc.bias, torch.nan)
    curves = training.train_together(networks, epochs_of(x, y), FULL, [seeded(3), seeded(4)], 3)
    training.train(alone, epochs_of(x, y), FULL, seeded(4), 3)
    assert [(curve.diverged, len(curve.points)) for curve in curves] == [(True, 1), (False, 2)]
    assert_same([alone], networks[1:], rtol=1e-8, atol=1e-9)


def test_attributes_are_learnt_at_once_as_alone():
    x, _ = data("mcnn")
    y = torch.randint(0, 2, (len(x), 4), generator=seeded(1)).to(torch.uint8)
    alone, together = built("mcnn", (3, 4)), built("mcnn", (3, 4))
    for network, seed in zip(alone, (3, 4), strict=True):
        training.train(network, epochs_of(x, y), FULL, seeded(seed), 3)
    training.train_together(together, epochs_of(x, y), FULL, [seeded(3), seeded(4)], 3)
    assert_same(alone, together, rtol=1e-8, atol=1e-9)


def test_trained_networks_hold_memory_of_their_own_only():
    _, (together, _) = alone_and_together("mcnn", replace(FULL, ema=0.0))
    for value in together[0].state_dict().values():
        assert value.untyped_storage().nbytes() == value.numel() * value.element_size()


@pytest.mark.parametrize(
    ("network", "can"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 2)), True),
        (nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 2)), False),
    ],
)
def test_what_draws_in_its_forward_pass_is_not_stacked(network, can):
    before = copy.deepcopy(network.state_dict())
    assert learner.stackable(network, torch.rand(4, 1, 8, 8), FULL) == can
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def course(networks, recipe):
    return Course(networks, recipe, [seeded(k) for k in range(len(networks))], 3, range(len(networks)))


def test_a_gradient_is_shortened_to_the_length_that_is_allowed_for_each_network():
    x, y = data("mcnn")
    for networks in (built("mcnn", (3,)), built("mcnn", (3, 4))):
        taught = course(networks, FULL).learner
        taught.losses([(x, y)] * len(networks), 0.0)[0].sum().backward()
        norms = taught.norms()
        by_hand = torch.cat([value.grad[0 if len(networks) > 1 else ...].flatten() for value in taught.trained.values()]).norm()
        torch.testing.assert_close(norms[0], by_hand)
        optimizers.clip(taught, float(norms[0]) / 2)
        torch.testing.assert_close(taught.norms()[0], norms[0] / 2, rtol=1e-4, atol=0)
        optimizers.clip(taught, 1e9)
        torch.testing.assert_close(taught.norms()[0], norms[0] / 2, rtol=1e-4, atol=0)


def test_an_average_is_the_mean_of_the_weights_that_its_decay_says():
    network = nn.BatchNorm1d(1, affine=True).double()
    source = learner.Single(network, replace(FULL, ema=0.5))
    average = Average(source, replace(FULL, ema=0.5))
    by_hand = {"weight": 1.0, "running_mean": 0.0}
    decays = [min(0.5, (1 + t) / (10 + t)) for t in range(1, 13)]
    for step in range(1, 13):
        with torch.no_grad():
            network.weight.fill_(step)
            network.running_mean.fill_(-step)
            network.num_batches_tracked += 1
        average.update(step, last=step == 12)
        if step % EVERY == 0 or step == 12:
            kept = torch.tensor(decays[step - ((step - 1) % EVERY + 1) : step], dtype=torch.float64).prod().item()
            by_hand = {
                "weight": kept * by_hand["weight"] + (1 - kept) * step,
                "running_mean": kept * by_hand["running_mean"] - (1 - kept) * step,
            }
    averaged = average.networks[0].state_dict()
    assert {name: averaged[name].item() for name in by_hand} == pytest.approx(by_hand)
    assert averaged["num_batches_tracked"] == 12
    assert network.weight.item() == 12  # what is averaged is not touched


def test_an_average_is_what_counts_and_the_last_weights_are_kept_beside_it():
    x, y = data("mcnn")
    networks = built("mcnn", (3,)), built("mcnn", (3,))
    averaged, plain = course(networks[0], FULL), course(networks[1], replace(FULL, ema=0.0))
    for taught in (averaged, plain):
        while not taught.over:
            taught.run_epoch(epochs_of(x, y))
        taught.end()
    assert plain.counting[0] is plain.networks[0]
    assert averaged.counting[0] is not averaged.networks[0]
    assert_same(averaged.networks, plain.networks, rtol=0, atol=0)
    assert not torch.equal(*(net.state_dict()["body.fc.weight"] for net in (averaged.counting[0], plain.counting[0])))


@pytest.mark.parametrize("seeds", [(3,), (3, 4)])
def test_bfloat16_trains_weights_in_float32_to_nearly_the_same_loss(seeds):
    x, y = data("mcnn", torch.float32)
    losses = []
    for precision in ("fp32", "bf16"):
        networks = built("mcnn", seeds, torch.float32)
        recipe = replace(FULL, precision=precision, channels_last=precision == "bf16", epochs=4)
        curves = training.train_together(networks, epochs_of(x, y), recipe, [seeded(seed) for seed in seeds], 3)
        assert all(value.dtype == torch.float32 for network in networks for value in network.parameters())
        assert all(value.is_contiguous() for network in networks for value in network.parameters())
        losses.append(curves[0].losses)
    assert losses[0] == pytest.approx(losses[1], rel=0.05) and losses[0] != losses[1]


def test_biases_of_batch_norms_can_learn_faster_and_decay_as_slowly():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    made = optimizers.optimizer(learner.Single(network, FULL), replace(FULL, decays="all"))
    optimizers.set_rate(made, 0.1)
    (group,) = [group for group in made.param_groups if any(value is network[1].bias for value in group["params"])]
    assert [id(value) for value in group["params"]] == [id(network[1].bias)]
    assert (group["lr"], group["lr"] * group["weight_decay"]) == pytest.approx((0.4, 0.1 * 0.01))

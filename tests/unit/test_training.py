"""The training loop, averages, curves, and scores."""

import math

import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from repsim.models import recipes, training
from repsim.models.curves import Curve
from repsim.models.recipes import RECIPES, Recipe
from repsim.models.switches import switched

PLAIN = Recipe(4, 8, "sgd", 0.1, 0.0, "thirds", "none")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def data(n=24, seed=5):
    """Two classes, told apart by the sign of the first pixel's distance from one half."""
    x = torch.rand(n, 1, 2, 2, generator=seeded(seed))
    return x, (x[:, 0, 0, 0] > 0.5).long()


def epochs_of(x, y, batch_size=8):
    def batches(generator, epoch):
        for index in torch.randperm(len(x), generator=generator).split(batch_size):
            yield x[index], y[index], index

    return batches


def linear():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        for k, parameter in enumerate(network.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=seeded(k)))
    return network


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_training_is_gradient_descent_as_written_by_hand():
    x, y = data(8)
    network, manual = linear(), linear()
    recipe = Recipe(3, 8, "sgd", 0.1, 0.01, "thirds", "none")
    training.train(network, epochs_of(x, y), recipe, seeded(), steps_per_epoch=1)
    velocity = [torch.zeros_like(p) for p in manual.parameters()]
    for epoch in range(3):
        loss = nn.functional.cross_entropy(manual(x), y)
        for k, gradient in enumerate(torch.autograd.grad(loss, list(manual.parameters()))):
            parameter = list(manual.parameters())[k]
            gradient = gradient + 0.01 * parameter.detach()
            velocity[k] = 0.9 * velocity[k] + gradient
            with torch.no_grad():
                parameter -= 0.1 * 0.1**epoch * (gradient + 0.9 * velocity[k])
    torch.testing.assert_close(weights(network), weights(manual))


def test_weight_decay_can_leave_biases_alone():
    x, y = torch.zeros(8, 1, 2, 2), torch.arange(8) % 2
    network = linear()
    nn.init.zeros_(network[1].bias)  # with zero input and balanced labels no gradient reaches anything
    before = network[1].weight.detach().clone()
    network[1].bias.data += 3.0
    for decays, bias in (("weights", 3.0), ("all", 3.0 * (1 - 0.1 * 0.5 * 1.9))):
        network[1].weight.data, network[1].bias.data = before.clone(), torch.full((2,), 3.0)
        recipe = Recipe(1, 8, "sgd", 0.1, 0.5, "thirds", "none", decays)
        training.train(network, epochs_of(x, y), recipe, seeded(), steps_per_epoch=1)
        torch.testing.assert_close(network[1].bias.detach(), torch.full((2,), bias))
        torch.testing.assert_close(network[1].weight.detach(), before * (1 - 0.1 * 0.5 * 1.9))


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_learns_a_separable_task(recipe):
    x, y = data(256)
    network = linear()
    chosen = recipes.choose(recipe, epochs=40, lr=0.1)
    before = training.evaluate(network, [(x, y)])
    curve = training.train(network, epochs_of(x, y, 32), chosen, seeded(), steps_per_epoch=8)
    after = training.evaluate(network, [(x, y)])
    assert before.accuracy < 0.8 < 0.95 < after.accuracy
    assert len(curve.losses) == 40 and not curve.diverged and curve.losses[-1] < curve.losses[0]


def test_the_order_of_the_batches_is_the_only_randomness():
    x, y = data()
    runs = []
    for seed in (1, 1, 2):
        torch.rand(seed)  # the global generator must not matter
        runs.append(linear())
        training.train(runs[-1], epochs_of(x, y), PLAIN, seeded(seed), steps_per_epoch=3)
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    assert not torch.equal(weights(runs[0]), weights(runs[2]))


def test_training_reports_every_step_and_ends_in_eval_mode():
    x, y = data()
    network, seen = linear(), []
    training.train(network, epochs_of(x, y), PLAIN, seeded(), 3, tick=lambda fraction, text: seen.append((fraction, text)))
    assert [fraction for fraction, _ in seen] == pytest.approx([k / 12 for k in range(1, 13)])
    assert seen[0][1].startswith("epoch 1 of 4, ") and seen[-1][1].startswith("epoch 4 of 4, loss ")
    assert not network.training


def test_training_stops_where_tick_raises():
    class Stop(Exception):
        pass

    def stop(fraction, text):
        if fraction > 0.4:
            raise Stop

    x, y = data()
    with pytest.raises(Stop):
        training.train(linear(), epochs_of(x, y), PLAIN, seeded(), 3, tick=stop)


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (3, 1), (4, 2), (100, 4)])
def test_a_dry_run_does_no_more_steps_than_allowed(steps, epochs):
    x, y = data()
    seen = []
    curve = training.train(linear(), epochs_of(x, y), PLAIN, seeded(), 3, steps=steps, tick=lambda f, t: seen.append(f))
    assert len(seen) == min(steps, 12) and seen[-1] == 1
    assert len(curve.losses) == epochs


def test_a_loss_that_is_not_finite_ends_the_training_as_diverged():
    x, y = data()
    x[5] = math.inf
    curve = training.train(linear(), epochs_of(x, y), PLAIN, seeded(), 3)
    assert curve.diverged and len(curve.losses) == 1


def test_weights_that_are_not_finite_count_as_diverged_even_with_a_finite_loss():
    x, y = data(8)
    network = linear()
    network.register_buffer("running", torch.tensor([1.0, math.nan]))
    assert not training.finite(network)
    curve = training.train(network, epochs_of(x, y), PLAIN, seeded(), 1)
    assert curve.diverged and math.isfinite(curve.losses[0])


def test_scores_are_those_of_scikit_learn_for_any_batch_size():
    x, y = data(101)
    network = linear()
    p = network(x).detach().double().softmax(1).numpy()
    for size in (7, 101):
        score = training.evaluate(network, zip(x.split(size), y.split(size), strict=True))
        assert score.n == 101
        assert score.accuracy == accuracy_score(y, p.argmax(1))
        assert score.loss == pytest.approx(log_loss(y, p), rel=1e-5)


def test_scoring_uses_running_statistics_and_changes_nothing():
    x, y = data()
    network = nn.Sequential(nn.BatchNorm2d(1), linear()).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    one, two = training.evaluate(network, [(x, y)]), training.evaluate(network, zip(x.split(5), y.split(5), strict=True))
    assert network.training
    assert one.loss == pytest.approx(two.loss, rel=1e-6) and one.accuracy == two.accuracy
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_attributes_are_scored_over_images_and_attributes():
    x, _ = data(30)
    y = torch.randint(0, 2, (30, 2), generator=seeded(3)).to(torch.uint8)
    network = linear()
    p = network(x).detach().double().sigmoid().numpy()
    score = training.evaluate(network, zip(x.split(7), y.split(7), strict=True))
    assert score.n == 30 and score.accuracy == ((p > 0.5) == y.numpy()).mean()
    assert score.loss == pytest.approx(sum(log_loss(y[:, k], p[:, k]) for k in range(2)) / 2, rel=1e-5)


def test_a_network_learns_attributes():
    x, _ = data(256)
    y = (x[:, 0, 0] > 0.5).to(torch.uint8)
    network = linear()
    recipe = Recipe(30, 32, "sgd", 0.5, 0.0, "one_cycle", "none", label_smoothing=0.05)
    curve = training.train(network, epochs_of(x, y, 32), recipe, seeded(), 8)
    assert training.evaluate(network, [(x, y)]).accuracy > 0.95
    assert curve.points[-1].train_accuracy > 0.9 > 0.7 > curve.points[0].train_accuracy


def test_a_curve_holds_the_rate_and_the_accuracy_of_the_steps():
    x, y = data()
    network, hits = linear(), []
    network.register_forward_hook(
        lambda module, inputs, logits: hits.append((logits.argmax(1) == labels_of(inputs[0])).float().mean())
    )
    curve = training.train(network, epochs_of(x, y), PLAIN, seeded(), 3)
    assert curve.columns()["rate"] == pytest.approx([0.1, 0.1, 0.01, 0.001])
    assert curve.columns()["train_accuracy"] == pytest.approx(torch.stack(hits).view(4, 3).mean(1).tolist())
    assert Curve.of(curve.plain()) == curve


def labels_of(x):
    return (x[:, 0, 0, 0] > 0.5).long()


def test_the_global_generator_and_torchs_switches_are_left_as_they_were():
    x, y = data()
    network = nn.Sequential(nn.Dropout(0.5), linear())
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    with switched(torch.device("cpu"), deterministic=True):
        assert torch.are_deterministic_algorithms_enabled()
        training.train(network, epochs_of(x, y), PLAIN, seeded(), 3)
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.rand(3), wanted)


def test_dropout_is_drawn_from_the_seed_of_the_run():
    x, y = data()
    trained = []
    for seed in (1, 1, 2):
        torch.rand(seed)
        trained.append(nn.Sequential(nn.Dropout(0.5), linear()))
        order = epochs_of(x, y)
        training.train(trained[-1], lambda g, e, order=order: order(seeded(0), e), PLAIN, seeded(seed), 3)
    assert torch.equal(weights(trained[0]), weights(trained[1]))
    assert not torch.equal(weights(trained[0]), weights(trained[2]))


def test_a_dry_run_scores_the_first_batches_only():
    x, y = data(24)
    assert training.evaluate(linear(), zip(x.split(8), y.split(8), strict=True), steps=2).n == 16

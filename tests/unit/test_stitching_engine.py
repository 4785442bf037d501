"""The packed engine against plain training of each stitcher, and against networks whose stitch is known."""

import copy

import pytest
import torch
from stitching_networks import feed, images, network, shuffled_copy
from torch.nn import functional

from repsim.errors import InputError
from repsim.models.cut import Cuts
from repsim.stitching import inits, packing
from repsim.stitching.engine import Engine
from repsim.stitching.evaluation import Entry, evaluate
from repsim.stitching.group import Asked, measure
from repsim.stitching.pair import Pair
from repsim.stitching.runs import Run, Training
from repsim.stitching.stitchers import STITCHERS, Linear, Permutation

SGD = Training(2, "sgd", 0.05, 1e-2, 0.9)
ADAM = Training(2, "adam", 1e-2, 1e-2)
FAMILIES = {
    "linear": ("linear", {}, ADAM),
    "linear_sgd": ("linear", {}, SGD),
    "lowrank": ("lowrank", {"rank": 3}, ADAM),
    "birkhoff": ("birkhoff", {}, SGD),
    "birkhoff_sinkhorn": ("birkhoff", {"projection": "sinkhorn"}, SGD),
    "g_relu": ("birkhoff", {"scales": True}, SGD),
}


def make_run(key: str, layers: tuple[str, str], widths: tuple[int, int], family: str, seed: int = 0, training=None, **more) -> Run:
    kind, options, how = FAMILIES[family]
    stitcher = STITCHERS[kind](*widths, **options)
    inits.start_(stitcher, "random", torch.Generator().manual_seed(seed))
    return Run(key, *layers, stitcher, training or how, **more)


def pair_at(*cuts: tuple[str, str], arch: str = "tiny10") -> Pair:
    return Pair(network(arch, 0), network(arch, 1), [front for front, _ in cuts], [end for _, end in cuts])


def trained_alone(run: Run, arch: str = "tiny10") -> torch.nn.Module:
    """The same training, written out: one stitcher, the whole front and end network, autograd as it comes."""
    front, end, stitcher = network(arch, 0), network(arch, 1), copy.deepcopy(run.stitcher)
    before = Cuts(front).front([run.front_layer])
    cuts = Cuts(end)
    after, carried = cuts.suffix(run.end_layer), cuts.carried([run.end_layer])
    decay = run.training.weight_decay if run.stitcher.decays else 0.0
    settings = {"lr": run.training.lr, "weight_decay": decay}
    parameters = list(stitcher.parameters())
    optimizer = (
        torch.optim.Adam(parameters, **settings)
        if run.training.optimizer == "adam"
        else torch.optim.SGD(parameters, momentum=run.training.momentum, **settings)
    )
    source = feed()
    for epoch in range(run.training.epochs):
        stitcher.begin_epoch(epoch, run.training.epochs)
        for x, y, _ in source.shuffled():
            optimizer.zero_grad()
            value = stitcher(before(x)[run.front_layer].detach())
            loss = functional.cross_entropy(after(value, *carried(x)[run.end_layer]), y)
            penalty = stitcher.penalty()
            (loss if penalty is None else loss + penalty).backward()
            optimizer.step()
            stitcher.project_()
    return stitcher


def assert_same_parameters(one: torch.nn.Module, other: torch.nn.Module, **tolerance) -> None:
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, **tolerance)


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_training_equals_separate_training(family):
    runs = [
        make_run(f"{layer}-{seed}", (layer, layer), (w, w), family, seed)
        for layer, w in (("relu4", 32), ("bn7", 64))
        for seed in (0, 1)
    ]
    alone = [trained_alone(run) for run in runs]
    Engine(pair_at(("relu4", "relu4"), ("bn7", "bn7")), feed()).train(runs)
    for run, stitcher in zip(runs, alone, strict=True):
        assert_same_parameters(run.stitcher, stitcher, rtol=1e-3, atol=1e-4)


def test_families_of_one_group_do_not_disturb_each_other():
    pair = pair_at(("bn7", "bn7"))
    runs = [make_run(family, ("bn7", "bn7"), (64, 64), family) for family in FAMILIES]
    alone = [trained_alone(run) for run in runs]
    Engine(pair, feed()).train(runs)
    for run, stitcher in zip(runs, alone, strict=True):
        assert_same_parameters(run.stitcher, stitcher, rtol=1e-3, atol=1e-4)


def test_a_cut_inside_a_residual_block_trains_as_it_would_alone():
    layers = ("layer2.0.bn1", "layer2.0.bn1")
    run = make_run("inside", layers, (32, 32), "linear")
    alone = trained_alone(run, "resnet20")
    Engine(pair_at(layers, arch="resnet20"), feed()).train([run])
    assert_same_parameters(run.stitcher, alone, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("budget", [1, 500_000])
def test_less_memory_means_smaller_parts_and_the_same_result(budget):
    pair = pair_at(("bn5", "bn5"))
    results = []
    for limit in (128 * packing.MIB, budget):
        runs = [make_run(f"{seed}", ("bn5", "bn5"), (32, 32), "linear", seed) for seed in range(3)]
        parts = packing.chunks(pair, runs, pair.read(images(8)[0]), limit)
        Engine(pair, feed(), budget=limit).train(runs)
        results.append((len(parts), runs))
    assert results[0][0] == 1 and results[1][0] > 1
    for one, other in zip(results[0][1], results[1][1], strict=True):
        assert_same_parameters(one.stitcher, other.stitcher, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("arch, layer", [("tiny10", "relu5"), ("resnet20", "layer2.0.bn1")])
def test_kept_activations_are_those_read_anew(arch, layer):
    results = []
    for keep in (False, True):
        run = make_run("run", (layer, layer), (32, 32), "linear")
        Engine(pair_at((layer, layer), arch=arch), feed(keep=keep)).train([run])
        results.append(run.stitcher)
    assert_same_parameters(*results, rtol=1e-3, atol=1e-4)


def test_training_leaves_both_networks_as_they_were():
    front, end = network(seed=0), network(seed=1)
    before = copy.deepcopy((front.state_dict(), end.state_dict()))
    pair = Pair(front, end, ["bn3"], ["bn3"])
    for batchnorm in ("frozen", "reestimate"):
        run = make_run("run", ("bn3", "bn3"), (32, 32), "linear")
        start = copy.deepcopy(run.stitcher)
        engine = Engine(pair, feed(), batchnorm)
        engine.train([run])
        engine.test([run])
        assert not torch.equal(start.weight, run.stitcher.weight)
    for state, now in zip(before, (front.state_dict(), end.state_dict()), strict=True):
        assert all(torch.equal(state[key], now[key]) for key in state)
    assert all(p.grad is None and not p.requires_grad for net in (front, end) for p in net.parameters())
    assert not any(module.training for net in (front, end) for module in net.modules())


def test_a_run_with_fewer_epochs_stops_alone():
    def runs(*epochs: int) -> list[Run]:
        return [make_run(f"{n}", ("bn6", "bn6"), (64, 64), "linear_sgd", n, Training(n, "sgd", 0.05, 0.0, 0.9)) for n in epochs]

    pair, mixed, short = pair_at(("bn6", "bn6")), runs(1, 3), runs(1)
    Engine(pair, feed()).train(mixed)
    Engine(pair, feed()).train(short)
    assert [run.epochs_run for run in mixed] == [1, 3]
    assert_same_parameters(mixed[0].stitcher, short[0].stitcher, rtol=1e-4, atol=1e-5)
    assert_same_parameters(mixed[1].stitcher, trained_alone(runs(3)[0]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("broken_family", ["linear_sgd", "birkhoff"])
def test_a_run_that_diverges_leaves_the_others_unharmed(broken_family):
    def runs() -> list[Run]:
        return [make_run(name, ("bn6", "bn6"), (64, 64), name) for name in ("linear", "birkhoff", "lowrank")]

    pair, healthy, mixed = pair_at(("bn6", "bn6")), runs(), runs()
    broken = make_run("broken", ("bn6", "bn6"), (64, 64), broken_family, seed=9)
    with torch.no_grad():
        broken.stitcher.weight[3, 3] = float("nan")
    Engine(pair, feed()).train(healthy)
    engine = Engine(pair, feed())
    engine.train([*mixed[:1], broken, *mixed[1:]])
    outcomes = engine.test([broken, *mixed])
    assert broken.diverged and broken.epochs_run == 1 and "broken" not in outcomes
    for one, other in zip(healthy, mixed, strict=True):
        assert not other.diverged and other.epochs_run == 2
        assert_same_parameters(one.stitcher, other.stitcher, rtol=1e-3, atol=1e-4)
    assert set(outcomes) == {"linear", "birkhoff", "lowrank"}


def test_a_learning_rate_that_is_too_high_is_recorded_as_diverged():
    run = make_run("wild", ("pool", "pool"), (64, 64), "linear", training=Training(3, "sgd", 1e20, weight_decay=1.0))
    Engine(pair_at(("pool", "pool")), feed()).train([run])
    assert run.diverged and run.epochs_run < 3


def test_a_network_stitched_to_itself_by_eye_gives_the_same_logits_bit_for_bit():
    net = network(seed=0)
    x, _ = images(8)
    for layer in ("conv1", "bn3", "relu8", "pool"):
        pair = Pair(net, copy.deepcopy(net), [layer], [layer])
        stitcher = Linear(*[pair.front_shapes[layer][0]] * 2)
        inits.start_(stitcher, "eye", torch.Generator())
        with torch.no_grad():
            logits = packing.forward(pair.suffixes[layer], [Entry(layer, layer, stitcher)], pair.read(x))
            assert torch.equal(logits[0], pair.end(x)), layer


@pytest.mark.parametrize("init", ["eye", "matched"])
def test_a_network_stitched_to_itself_has_no_penalty(init):
    net = network(seed=0)
    pair = Pair(net, copy.deepcopy(net), ["bn4"], ["bn4"])
    results = measure(pair, feed(), [Asked("self", "bn4", "bn4", "linear", init)])
    (measured,) = results.measured
    assert measured.outcome.selected.accuracy == results.front_accuracy == results.end_accuracy
    assert measured.outcome.selected.agreement == 1.0
    assert measured.residual == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("kind, options", [("permutation", {}), ("birkhoff", {}), ("linear", {})])
@pytest.mark.parametrize("layer", ["bn2", "bn5"])
def test_matching_undoes_a_shuffle_of_channels(layer, kind, options):
    net, width = network(seed=0), {"bn2": 16, "bn5": 32}[layer]
    order = torch.randperm(width, generator=torch.Generator().manual_seed(5))
    pair = Pair(net, shuffled_copy(net, int(layer[-1]), order), [layer], [layer])
    results = measure(pair, feed(), [Asked("run", layer, layer, kind, "matched", options=options)])
    (measured,) = results.measured
    soft, hard = measured.run.stitcher.affine().weight, measured.run.stitcher.rounded().affine().weight
    torch.testing.assert_close(soft, torch.eye(width)[order], atol=2e-2, rtol=0)
    torch.testing.assert_close(hard, torch.eye(width)[order], atol=1e-3 if kind == "linear" else 0, rtol=0)
    assert measured.outcome.selected.agreement == 1.0 and measured.residual < 1e-6


def test_matching_with_scales_undoes_a_shuffle_and_a_scaling_at_a_relu():
    net, generator = network(seed=0), torch.Generator().manual_seed(5)
    order, scales = torch.randperm(32, generator=generator), torch.rand(32, generator=generator) + 0.5
    pair = Pair(net, shuffled_copy(net, 4, order, scales), ["relu4"], ["relu4"])
    results = measure(pair, feed(), [Asked("run", "relu4", "relu4", "birkhoff", "matched", options={"scales": True})])
    (measured,) = results.measured
    alive = pair.read(images(24, seed=1)[0]).front["relu4"].amax((0, 2, 3))[order] > 0
    expected = torch.eye(32)[order] * scales[:, None]
    torch.testing.assert_close(measured.run.stitcher.affine().matrix[alive], expected[alive], atol=1e-5, rtol=1e-5)
    assert measured.outcome.selected.agreement == 1.0


def test_rounding_is_measured_on_both_sides():
    net = network(seed=0)
    pair = Pair(net, copy.deepcopy(net), ["relu8"], ["relu8"])
    run = make_run("soft", ("relu8", "relu8"), (64, 64), "birkhoff", training=Training(0))
    nearly = 0.6 * torch.eye(64) + 0.4 / 64
    run.stitcher.weight.data.copy_(nearly)
    engine = Engine(pair, feed())
    engine.train([run])
    reference = pair.end(images(16, seed=2)[0]).argmax(-1)
    outcome = engine.test([run], reference)["soft"]
    assert outcome.selected.agreement == 1.0
    soft = copy.deepcopy(run.stitcher)
    with torch.no_grad():
        logits = packing.forward(pair.suffixes["relu8"], [Entry("relu8", "relu8", soft)], pair.read(images(16, seed=2)[0]))[0]
    assert outcome.unrounded.loss == pytest.approx(functional.cross_entropy(logits, images(16, seed=2)[1]).item(), rel=1e-5)
    assert outcome.unrounded.loss != pytest.approx(outcome.selected.loss, rel=1e-3)


def test_validation_selects_the_best_epoch_and_keeps_its_stitcher():
    pair = pair_at(("bn6", "bn6"))
    run = make_run("run", ("bn6", "bn6"), (64, 64), "linear", training=Training(5, "sgd", 0.3), select="validation")
    seen, note = [], run.validated
    run.validated = lambda score: (seen.append((score.accuracy, -score.loss, copy.deepcopy(run.stitcher))), note(score))
    Engine(pair, feed()).train([run])
    best = max(range(5), key=lambda i: seen[i][:2])
    assert run.selected_epoch == best + 1 and run.epochs_run == 5
    assert_same_parameters(run.selected, seen[best][2], rtol=0, atol=0)


def test_without_training_the_start_is_selected():
    run = make_run("run", ("bn6", "bn6"), (64, 64), "linear", training=Training(0), select="validation")
    engine = Engine(pair_at(("bn6", "bn6")), feed())
    engine.train([run])
    outcome = engine.test([run])["run"]
    assert run.selected_epoch == run.epochs_run == 0 and outcome.selected is outcome.last
    assert run.validation is not None and run.train_loss is None


def test_scores_are_those_of_the_whole_set_at_once():
    pair, (x, y) = pair_at(("bn2", "bn2")), images(30, seed=4)
    stitchers = [make_run(f"{seed}", ("bn2", "bn2"), (16, 16), "linear", seed).stitcher for seed in (0, 1)]
    entries = [Entry("bn2", "bn2", stitcher) for stitcher in [*stitchers, Permutation(16, 16)]]
    split = zip(x.split(7), y.split(7), strict=True)
    for entry, score in zip(entries, evaluate(pair, entries, split), strict=True):
        with torch.no_grad():
            logits = packing.forward(pair.suffixes["bn2"], [entry], pair.read(x))[0]
        assert score.accuracy == pytest.approx((logits.argmax(-1) == y).double().mean().item())
        assert score.loss == pytest.approx(functional.cross_entropy(logits, y).item(), rel=1e-5)


def test_layers_of_other_sizes_are_refused_with_both_shapes():
    pair = pair_at(("bn1", "bn8"))
    with pytest.raises(InputError, match=r"\(16, 30, 30\) at 'bn1' and \(64, 2, 2\) at 'bn8'"):
        measure(pair, feed(), [Asked("run", "bn1", "bn8", "linear")])

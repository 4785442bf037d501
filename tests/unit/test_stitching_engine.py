"""The packed engine against plain training of each stitcher: families, objectives, batch norms, memory, selection."""

import copy

import pytest
import torch
from stitching_networks import feed, images, network
from torch.func import functional_call
from torch.nn import functional

from repsim.models.cut import cuts
from repsim.stitching import batchnorm, inits, packing, targets
from repsim.stitching.activations import Fresh, in_order
from repsim.stitching.engine import Engine
from repsim.stitching.evaluation import Entry, evaluate, needs
from repsim.stitching.pair import Pair
from repsim.stitching.runs import Run, Training
from repsim.stitching.shapes import join
from repsim.stitching.stitchers import Permutation, build, project_all
from repsim.stitching.targets import Objective

SGD = Training(2, "sgd", 0.05, 1e-2, 0.9)
PLAIN_SGD = Training(2, "sgd", 0.05)
ADAM = Training(2, "adam", 1e-2, 1e-2)
FAMILIES = {
    "linear": ("linear", {}, ADAM),
    "linear_sgd": ("linear", {}, SGD),
    "linear_thirds": ("linear", {}, Training(3, "adam", 1e-2, schedule="thirds")),
    "lowrank": ("lowrank", {"rank": 3}, ADAM),
    "lasso": ("lasso", {"lasso_weight": 1e-3}, ADAM),
    "orthogonal": ("orthogonal", {"scales": True}, SGD),
    "wreath": ("wreath", {"tau": 2.0}, ADAM),
    "birkhoff": ("birkhoff", {}, SGD),
    "birkhoff_sinkhorn": ("birkhoff", {"projection": "sinkhorn"}, SGD),
    "birkhoff_gradient": ("birkhoff", {"pgd": "gradient"}, PLAIN_SGD),
    "g_relu": ("birkhoff", {"scales": True}, SGD),
    "g_relu_in_turns": ("birkhoff", {"scales": True, "warmup": 0.0, "alternating": True}, PLAIN_SGD),
}
OBJECTIVES = {
    "hard": Objective(),
    "soft_1": Objective("soft_1", 3.0),
    "soft_2": Objective("soft_2"),
    "soft_12": Objective("soft_12", 2.0),
    "soft_1_plus_2": Objective("soft_1_plus_2"),
    "match": Objective("match"),
    "latents": Objective("latents", latents=(("cut", 1.0), ("relu7", 0.5), ("logits", 2.0))),
    "l1": Objective(l1=0.1),
    "cka_reg": Objective(cka_reg=0.5),
}


def make_run(key: str, layers: tuple[str, str], widths: tuple[int, int], family: str, seed: int = 0, training=None, **more) -> Run:
    kind, options, how = FAMILIES[family]
    stitcher = build(kind, join((widths[0], 1, 1), (widths[1], 1, 1)), **options)
    inits.start_(stitcher, "random", torch.Generator().manual_seed(seed))
    return Run(key, *layers, stitcher, training or how, **more)


def pair_at(*cut: tuple[str, str], arch: str = "tiny10", **more) -> Pair:
    return Pair(network(arch, 0), network(arch, 1), [front for front, _ in cut], [end for _, end in cut], **more)


SPARED = {"birkhoff": ("weight",), "orthogonal": ("weight",), "wreath": ("scores",)}


def optimizer_of(run: Run, stitcher) -> torch.optim.Optimizer:
    spared = [value for name, value in stitcher.named_parameters() if name in SPARED.get(run.stitcher.family, ())]
    rest = [value for value in stitcher.parameters() if not any(value is one for one in spared)]
    groups = [{"params": rest, "weight_decay": run.training.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    if run.training.optimizer == "adam":
        return torch.optim.Adam([group for group in groups if group["params"]], lr=run.training.lr)
    return torch.optim.SGD([group for group in groups if group["params"]], lr=run.training.lr, momentum=run.training.momentum)


def trained_alone(run: Run, arch: str = "tiny10", norms: str = "frozen") -> tuple[torch.nn.Module, dict]:
    """The same training, written out: one stitcher, whole networks, hooks for values, autograd as it comes."""
    front, end, stitcher = network(arch, 0), network(arch, 1), copy.deepcopy(run.stitcher)
    suffix, carried = cuts(end).suffix(run.end_layer, run.also), cuts(end).reader(carried=[run.end_layer])
    own = cuts(end).reader(values=[run.end_layer, *run.also], logits=True)
    before = cuts(front).reader(values=[run.front_layer], logits=True)
    buffers = {name: value.clone() for name, value in suffix.named_buffers()}
    suffix.train(norms == "train")
    optimizer, source = optimizer_of(run, stitcher), feed()
    step = 0
    for epoch in range(run.training.epochs):
        for group in optimizer.param_groups:
            group["lr"] = run.training.lr_at(epoch)
        for x, y, _ in source.shuffled():
            stitcher.begin_step(epoch, run.training.epochs, step)
            step += 1
            optimizer.zero_grad()
            f, g = before(x), own(x)
            value = stitcher(f.values[run.front_layer].detach())
            suffix.train(norms == "train")
            part = functional_call(suffix, buffers, (value.clone(), *carried(x).carried[run.end_layer]))
            values = {name: suffix.trace(value, *carried(x).carried[run.end_layer])[1][name] for name in run.also}
            suffix.eval()
            loss = objective_alone(run.objective, part, value, values, f, g, run.end_layer, y)
            loss = loss + run.objective.l1 * stitcher.affine().matrix.abs().mean()
            penalty = stitcher.penalty()
            (loss if penalty is None else loss + penalty).backward()
            if getattr(stitcher, "pgd", None) == "gradient":
                packing_free_gradient(stitcher, optimizer.param_groups[0]["lr"])
            optimizer.step()
            project_all([stitcher])
    return stitcher, buffers


def packing_free_gradient(stitcher, lr: float) -> None:
    """(W − P(W − lr·g)) / lr, with a projection of its own."""
    from repsim.stitching.birkhoff import euclidean

    weight = stitcher.weight.detach()
    stitcher.weight.grad = ((weight - euclidean(weight - lr * stitcher.weight.grad).matrix) / lr).float()


def objective_alone(objective, logits, value, values, f, g, layer, y) -> torch.Tensor:
    """Each objective as its definition says it, for one stitcher."""
    hard, T = functional.cross_entropy, objective.temperature
    soft = lambda wanted: functional.cross_entropy(logits / T, (wanted / T).softmax(-1))  # noqa: E731
    own = g.values[layer]
    if objective.target == "hard":
        loss = hard(logits, y)
    elif objective.target == "match":
        loss = (value - own).square().sum() / (own - own.mean((0, 2, 3), keepdim=True)).square().sum()
    elif objective.target == "latents":
        there, here = {"cut": value, "logits": logits, **values}, {"cut": own, "logits": g.logits, **g.values}
        terms = [w * ((there[at] - here[at]).norm() / here[at].norm()) ** 2 for at, w in objective.latents]
        loss = torch.stack(terms).sum()
    else:
        wanted = {"soft_1": [f.logits], "soft_2": [g.logits], "soft_12": [f.logits, g.logits]}
        each = wanted.get(objective.target, [(f.logits + g.logits) / 2])
        loss = torch.stack([soft(one) for one in each]).mean()
    if objective.cka_reg:
        rows = [one.movedim(1, -1).flatten(0, -2) for one in (value, own)]
        x, z = (one - one.mean(0) for one in rows)
        cka = (x.T @ z).norm() ** 2 / ((x.T @ x).norm() * (z.T @ z).norm())
        loss = loss + objective.cka_reg * cka
    return loss


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
    for run, (stitcher, _) in zip(runs, alone, strict=True):
        assert_same_parameters(run.stitcher, stitcher, rtol=1e-3, atol=1e-4)


def test_packed_objectives_equal_separate_training_with_their_definitions():
    def runs() -> list[Run]:
        return [make_run(name, ("relu4", "relu4"), (32, 32), "linear", objective=one) for name, one in OBJECTIVES.items()]

    packed, alone = runs(), [trained_alone(run)[0] for run in runs()]
    Engine(pair_at(("relu4", "relu4")), feed()).train(packed)
    for run, stitcher in zip(packed, alone, strict=True):
        assert_same_parameters(run.stitcher, stitcher, rtol=2e-3, atol=2e-4)
    weights = torch.stack([run.stitcher.weight.detach() for run in packed])
    assert (torch.cdist(weights.flatten(1), weights.flatten(1)) + torch.eye(len(packed)) > 1e-3).all(), "each objective is its own"


def test_objectives_may_be_read_from_kept_activations():
    results = []
    for keep in (False, True):
        runs = [make_run(name, ("relu4", "relu4"), (32, 32), "linear", objective=one) for name, one in OBJECTIVES.items()]
        Engine(pair_at(("relu4", "relu4")), feed(keep=keep)).train(runs)
        results.append(runs)
    for one, other in zip(*results, strict=True):
        assert_same_parameters(one.stitcher, other.stitcher, rtol=1e-3, atol=1e-4)


def test_batch_statistics_of_packed_stitchers_are_those_of_each_alone():
    runs = [make_run(f"{seed}", ("bn3", "bn3"), (32, 32), "linear", seed) for seed in range(3)]
    alone = [trained_alone(run, norms="train") for run in runs]
    Engine(pair_at(("bn3", "bn3")), feed(), "train").train(runs)
    for run, (stitcher, buffers) in zip(runs, alone, strict=True):
        assert_same_parameters(run.stitcher, stitcher, rtol=2e-3, atol=2e-4)
        for name, (mean, variance) in run.statistics.items():
            torch.testing.assert_close(mean, buffers[f"{name}.running_mean"], rtol=1e-3, atol=1e-3)
            torch.testing.assert_close(variance, buffers[f"{name}.running_var"], rtol=1e-3, atol=1e-3)
    assert not torch.equal(runs[0].statistics[name][0], runs[1].statistics[name][0])


def test_families_of_one_group_do_not_disturb_each_other():
    pair = pair_at(("bn7", "bn7"))
    runs = [make_run(family, ("bn7", "bn7"), (64, 64), family) for family in FAMILIES]
    alone = [trained_alone(run)[0] for run in runs]
    Engine(pair, feed()).train(runs)
    for run, stitcher in zip(runs, alone, strict=True):
        assert_same_parameters(run.stitcher, stitcher, rtol=1e-3, atol=1e-4)


def test_a_cut_inside_a_residual_block_trains_as_it_would_alone():
    layers = ("layer2.0.bn1", "layer2.0.bn1")
    run = make_run("inside", layers, (32, 32), "linear")
    alone, _ = trained_alone(run, "resnet20")
    Engine(pair_at(layers, arch="resnet20"), feed()).train([run])
    assert_same_parameters(run.stitcher, alone, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("budget", [1, 100_000])
def test_less_memory_means_smaller_parts_and_the_same_result(budget):
    pair = pair_at(("bn5", "bn5"))
    results = []
    for limit in (128 * packing.MIB, budget):
        runs = [make_run(f"{seed}", ("bn5", "bn5"), (32, 32), "linear", seed) for seed in range(3)]
        parts = packing.chunks(pair, runs, pair.reader(needs(run.now for run in runs))(images(8)[0]), limit)
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
    for norms in ("frozen", "train", "reestimate"):
        run = make_run("run", ("bn3", "bn3"), (32, 32), "linear")
        start = copy.deepcopy(run.stitcher)
        engine = Engine(pair, feed(), norms)
        engine.train([run])
        engine.ready([run.now])
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
    assert_same_parameters(mixed[1].stitcher, trained_alone(runs(3)[0])[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("broken_family", ["linear_sgd", "birkhoff", "orthogonal"])
def test_a_run_that_diverges_leaves_the_others_unharmed(broken_family):
    def runs() -> list[Run]:
        return [make_run(name, ("bn6", "bn6"), (64, 64), name) for name in ("linear", "birkhoff", "orthogonal")]

    pair, healthy, mixed = pair_at(("bn6", "bn6")), runs(), runs()
    broken = make_run("broken", ("bn6", "bn6"), (64, 64), broken_family, seed=9)
    with torch.no_grad():
        broken.stitcher.weight[3, 3] = float("nan")
    Engine(pair, feed()).train(healthy)
    Engine(pair, feed()).train([*mixed[:1], broken, *mixed[1:]])
    assert broken.diverged and broken.epochs_run == 1
    for one, other in zip(healthy, mixed, strict=True):
        assert not other.diverged and other.epochs_run == 2
        assert_same_parameters(one.stitcher, other.stitcher, rtol=1e-3, atol=1e-4)


def test_a_learning_rate_that_is_too_high_is_recorded_as_diverged():
    run = make_run("wild", ("pool", "pool"), (64, 64), "linear", training=Training(3, "sgd", 1e20, weight_decay=1.0))
    Engine(pair_at(("pool", "pool")), feed()).train([run])
    assert run.diverged and run.epochs_run < 3


class Scarce:
    """A suffix on a device whose memory holds so many images at once."""

    def __init__(self, suffix, most: int):
        self.suffix, self.most, self.refused = suffix, most, 0
        self.after = False  # whether memory runs out when all is computed

    def __getattr__(self, name):
        return getattr(self.suffix, name)

    def __call__(self, value, *carried):
        return self.trace(value, *carried)[0]

    def trace(self, value, *carried):
        room = len(value) <= self.most
        found = self.suffix.trace(value, *carried) if room or self.after else None
        if not room:
            self.refused += 1
            raise torch.OutOfMemoryError("no room")
        return found


def test_a_pack_that_does_not_fit_into_memory_is_halved_and_the_result_is_the_same():
    def runs() -> list[Run]:
        return [make_run(f"{seed}", ("bn5", "bn5"), (32, 32), "linear", seed, select="validation") for seed in range(5)]

    wide, narrow, pair = runs(), runs(), pair_at(("bn5", "bn5"))
    Engine(pair, feed()).train(wide)
    scarce = Scarce(pair.suffix("bn5"), 17)
    pair.suffix, pair.fused_suffix = (lambda *_: scarce), (lambda *_: (scarce, torch.float32))
    Engine(pair, feed(held_out=8)).train(narrow)
    assert 0 < scarce.refused < 20, "smaller packs are remembered"
    for one, other in zip(wide, narrow, strict=True):
        assert_same_parameters(one.stitcher, other.stitcher, rtol=1e-3, atol=1e-4)


def test_one_stitcher_that_does_not_fit_into_memory_is_an_error():
    pair, run = pair_at(("bn5", "bn5")), make_run("run", ("bn5", "bn5"), (32, 32), "linear")
    scarce = Scarce(pair.suffix("bn5"), 4)
    pair.suffix, pair.fused_suffix = (lambda *_: scarce), (lambda *_: (scarce, torch.float32))
    with pytest.raises(torch.OutOfMemoryError):
        Engine(pair, feed()).train([run])


def test_bf16_networks_train_an_fp32_stitcher_to_nearly_the_same_place():
    results = []
    for precision in ("fp32", "bf16"):
        run = make_run("run", ("bn4", "bn4"), (32, 32), "linear_sgd")  # Adam would magnify the rounding of small gradients
        Engine(pair_at(("bn4", "bn4"), precision=precision), feed()).train([run])
        results.append(run)
    one, other = (run.stitcher.weight for run in results)
    assert other.dtype == torch.float32 and not torch.equal(one, other)
    torch.testing.assert_close(one, other, atol=2e-2, rtol=0)
    assert results[1].train_loss == pytest.approx(results[0].train_loss, rel=2e-2)


def test_a_network_stitched_to_itself_by_eye_gives_the_same_logits_bit_for_bit():
    net = network(seed=0)
    x, _ = images(8)
    for layer in ("conv1", "bn3", "relu8", "pool"):
        pair = Pair(net, copy.deepcopy(net), [layer], [layer])
        stitcher = build("linear", join(pair.front_shapes[layer], pair.end_shapes[layer]))
        inits.start_(stitcher, "eye", torch.Generator())
        with torch.no_grad():
            entry = Entry(layer, layer, stitcher)
            logits = packing.forward(pair, [entry], pair.reader(needs([entry]))(x)).logits
            assert torch.equal(logits[0], pair.end(x)), layer


def test_validation_selects_the_best_epoch_and_keeps_its_stitcher():
    pair = pair_at(("bn6", "bn6"))
    run = make_run("run", ("bn6", "bn6"), (64, 64), "linear", training=Training(5, "sgd", 0.3), select="validation")
    seen, note = [], run.judge
    run.judge = lambda score: (seen.append((score.accuracy, -score.loss, copy.deepcopy(run.stitcher))), note(score))
    Engine(pair, feed()).train([run])
    best = max(range(5), key=lambda i: seen[i][:2])
    assert run.selected_epoch == best + 1 and run.epochs_run == 5
    assert_same_parameters(run.selected.stitcher, seen[best][2], rtol=0, atol=0)
    assert [entry["validation_accuracy"] for entry in run.curve] == [accuracy for accuracy, _, _ in seen]


def test_the_test_split_selects_only_where_that_was_asked_for():
    pair, source = pair_at(("bn6", "bn6")), feed()
    read = []
    asked = feed()
    object.__setattr__(asked, "test", lambda: (read.append(1), source.test())[1])
    honest = make_run("run", ("bn6", "bn6"), (64, 64), "linear", training=Training(3, "sgd", 0.3), select="validation")
    Engine(pair, asked).train([honest])
    assert not read
    peeking = make_run("run", ("bn6", "bn6"), (64, 64), "linear", training=Training(3, "sgd", 0.3), select="test_best")
    Engine(pair, asked).train([peeking])
    assert len(read) == 3 and peeking.validation is None and peeking.judged is not None
    best = max(peeking.curve, key=lambda entry: (entry["test_accuracy"], -entry["test_loss"]))
    assert peeking.selected_epoch == best["epoch"]


def test_scores_are_those_of_the_whole_set_at_once():
    pair, (x, y) = pair_at(("bn2", "bn2")), images(30, seed=4)
    stitchers = [make_run(f"{seed}", ("bn2", "bn2"), (16, 16), "linear", seed).stitcher for seed in (0, 1)]
    entries = [Entry("bn2", "bn2", stitcher) for stitcher in [*stitchers, Permutation(16, 16)]]
    split = zip(x.split(7), y.split(7), strict=True)
    fresh = Fresh(pair, needs(entries, logits=True))
    own = pair.end(x)
    for entry, score in zip(entries, evaluate(pair, entries, in_order(fresh, split)), strict=True):
        with torch.no_grad():
            logits = packing.forward(pair, [entry], fresh.read(x, torch.arange(30))).logits[0]
        right, known = logits.argmax(-1) == y, own.argmax(-1) == y
        assert score.accuracy == pytest.approx(right.double().mean().item())
        assert score.loss == pytest.approx(functional.cross_entropy(logits, y).item(), rel=1e-5)
        assert score.versus.agreement == pytest.approx((logits.argmax(-1) == own.argmax(-1)).double().mean().item())
        together = [right & known, right & ~known, ~right & known, ~right & ~known]
        assert score.versus.hits == pytest.approx([both.double().mean().item() for both in together])
        a, b = (one.double() - one.double().mean(0) for one in (logits, own))
        expected = (a.T @ b).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm())
        assert score.versus.cka == pytest.approx(expected.item(), rel=1e-9)


def test_targets_of_a_stitcher_that_is_already_there_are_nil():
    net = network(seed=0)
    pair = Pair(net, copy.deepcopy(net), ["bn4"], ["bn4"])
    stitcher = build("linear", join((32, 11, 11), (32, 11, 11)))
    inits.start_(stitcher, "eye", torch.Generator())
    for objective in (Objective("match"), Objective("latents", latents=(("cut", 1.0), ("logits", 1.0)))):
        run = Run("run", "bn4", "bn4", stitcher, Training(1, "sgd"), objective=objective)
        Engine(pair, feed()).train([run])
        assert run.train_loss == pytest.approx(0.0, abs=1e-8)


def test_statistics_apart_leave_the_networks_own_alone():
    suffix = cuts(network()).suffix("bn2")
    before = {name: buffer.clone() for name, buffer in suffix.named_buffers()}
    mine = [batchnorm.own(suffix), batchnorm.own(suffix)]
    value = torch.randn(8, 16, 28, 28, generator=torch.Generator().manual_seed(0))
    with batchnorm.apart(suffix, mine, "batch"):
        suffix(value)
    assert all(torch.equal(before[name], buffer) for name, buffer in suffix.named_buffers())
    first = next(iter(mine[0]))
    assert not torch.equal(mine[0][first][0], mine[1][first][0])
    assert targets.hard(suffix(value)[None], torch.zeros(8, dtype=torch.int64)).shape == (1,)


def test_networks_that_cannot_be_fused_train_in_bf16_without_being_changed(monkeypatch):
    from repsim.models.hooks import HookCuts
    from repsim.stitching import pair as pairs

    monkeypatch.setattr(pairs, "cuts", HookCuts)
    pair = pair_at(("bn5", "bn5"), precision="bf16")
    run = make_run("run", ("bn5", "bn5"), (32, 32), "linear_sgd")
    Engine(pair, feed()).train([run])
    assert all(tensor.dtype != torch.bfloat16 for tensor in pair.end.state_dict().values())
    assert run.train_loss == pytest.approx(_fp32_loss(), rel=2e-2)


def _fp32_loss() -> float:
    run = make_run("run", ("bn5", "bn5"), (32, 32), "linear_sgd")
    Engine(pair_at(("bn5", "bn5")), feed()).train([run])
    return run.train_loss


def test_statistics_of_a_pack_that_did_not_fit_are_those_of_one_that_did():
    def runs() -> list[Run]:
        return [make_run(f"{seed}", ("bn5", "bn5"), (32, 32), "linear", seed) for seed in range(4)]

    wide, narrow, pair = runs(), runs(), pair_at(("bn5", "bn5"))
    Engine(pair, feed(), "train").train(wide)
    scarce = Scarce(pair.suffix("bn5"), 17)
    pair.suffix = lambda *_: scarce
    scarce.after = True
    Engine(pair, feed(), "train").train(narrow)
    assert scarce.refused
    for one, other in zip(wide, narrow, strict=True):
        for name, (mean, variance) in one.statistics.items():
            torch.testing.assert_close(mean, other.statistics[name][0], rtol=1e-3, atol=1e-4)
            torch.testing.assert_close(variance, other.statistics[name][1], rtol=1e-3, atol=1e-4)

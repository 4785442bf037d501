"""Re-estimated batch norms: the averages they should hold, and the statistics they must not touch."""

import copy

import pytest
import torch
from stitching_networks import images, network
from torch import nn

from repsim.stitching import inits
from repsim.stitching.activations import Fresh, in_order
from repsim.stitching.batchnorm import norms
from repsim.stitching.evaluation import Entry, evaluate, needs, reestimated
from repsim.stitching.pair import Pair
from repsim.stitching.scores import Score
from repsim.stitching.stitchers import Linear


def entry(layer: str, width: int, seed: int) -> Entry:
    stitcher = Linear(width, width)
    inits.start_(stitcher, "random", torch.Generator().manual_seed(seed))
    return Entry(layer, layer, stitcher)


def batches(n: int = 24, size: int = 8):
    x, y = images(n, seed=1)
    return list(zip(x.split(size), y.split(size), strict=True))


def score(pair: Pair, entries: list[Entry]) -> list[Score]:
    return evaluate(pair, entries, in_order(Fresh(pair, needs(entries)), batches()))


def plainly(entry: Entry, end: nn.Module, pair: Pair) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The same statistics by a copy of the network in train mode with cumulative averages."""
    twin = copy.deepcopy(end)
    suffix = Pair(network(seed=0), twin, [entry.front_layer], [entry.end_layer]).suffix(entry.end_layer)
    for norm in norms(suffix).values():
        norm.reset_running_stats()
        norm.train()
        norm.momentum = None
    with torch.no_grad():
        for x, _ in batches():
            reading = pair.reader(needs([entry]))(x)
            suffix(entry.stitcher(reading.front[entry.front_layer]), *reading.carried[entry.end_layer])
    return {name: (norm.running_mean, norm.running_var) for name, norm in norms(suffix).items()}


@pytest.mark.parametrize("arch, layer, width", [("tiny10", "bn5", 32), ("resnet20", "layer3.1.bn1", 64)])
def test_each_stitcher_gets_the_averages_of_its_own_activations(arch, layer, width):
    end = network(arch, 1)
    pair = Pair(network(arch, 0), end, [layer], [layer])
    entries = [entry(layer, width, seed) for seed in (0, 1)]
    if arch == "tiny10":
        for wanted, found in zip(entries, reestimated(pair, entries, batches()), strict=True):
            for name, values in plainly(wanted, end, pair).items():
                torch.testing.assert_close(found.statistics[name], values, rtol=1e-4, atol=1e-5)
    one, other = (found.statistics for found in reestimated(pair, entries, batches()))
    assert any(not torch.allclose(one[name][0], other[name][0]) for name in one)


def test_the_statistics_of_the_network_are_not_touched():
    end = network(seed=1)
    pair = Pair(network(seed=0), end, ["bn3"], ["bn3"])
    before = copy.deepcopy(end.state_dict())
    wanted = entry("bn3", 32, 0)
    plain = score(pair, [wanted])
    ready = reestimated(pair, [wanted], batches())
    assert score(pair, ready) != plain
    assert score(pair, [wanted]) == plain
    assert all(torch.equal(before[key], value) for key, value in end.state_dict().items())
    assert all(not norm.training and norm.momentum == 0.1 for norm in norms(end).values())


def test_statistics_are_restored_when_a_pass_fails():
    end = network(seed=1)
    pair = Pair(network(seed=0), end, ["bn3"], ["bn3"])
    broken = Entry("bn3", "bn3", Linear(32, 7))
    with pytest.raises(RuntimeError):
        reestimated(pair, [broken], batches())
    assert all(not norm.training and norm.momentum == 0.1 for norm in norms(end).values())


def test_a_stitch_that_scales_g_is_repaired_by_reestimation():
    """g behind a factor of 3 before a batch norm: its own statistics are wrong by 3, re-estimated ones are right."""
    net = network(seed=0)
    pair = Pair(net, copy.deepcopy(net), ["conv8"], ["conv8"])
    tripled = Linear(64, 64)
    tripled.weight.data = 3 * torch.eye(64)
    straight = Linear(64, 64)
    straight.weight.data = torch.eye(64)
    entries = [Entry("conv8", "conv8", tripled), Entry("conv8", "conv8", straight)]
    frozen = score(pair, entries)
    repaired = score(pair, reestimated(pair, entries, batches()))
    assert repaired[0].loss == pytest.approx(repaired[1].loss, rel=1e-3)
    assert abs(frozen[0].loss - frozen[1].loss) > 10 * abs(repaired[0].loss - repaired[1].loss)

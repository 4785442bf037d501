"""What attacks leave of f, g and the stitched network, how far they turn activations, and maps cut short of their rank."""

from dataclasses import replace

import pytest
import torch
from stitching_networks import feed, images, network

from repsim.robustness.attacks import pgd
from repsim.robustness.evaluation import evaluate, robust
from repsim.robustness.fooling import Ascent
from repsim.robustness.linf import Linf
from repsim.stitching import attacked, spectrum
from repsim.stitching.asked import Asked, Family
from repsim.stitching.attacked import Attack
from repsim.stitching.batchnorm import own
from repsim.stitching.columns import columns
from repsim.stitching.evaluation import Entry
from repsim.stitching.group import measure
from repsim.stitching.pair import Pair
from repsim.stitching.runs import Training
from repsim.stitching.shapes import join
from repsim.stitching.shifts import Cosines, Shifts
from repsim.stitching.stitchers import Affine, build
from repsim.stitching.targets import Objective

PGD = Attack("pgd", Linf(0.004, 0.001, 6), seed=5)
EYE = Affine(torch.eye(64), torch.zeros(64))


def pair(seeds=(0, 1), layer="relu6") -> Pair:
    return Pair(network(seed=seeds[0]), network(seed=seeds[1]), [layer], [layer])


def entry(start: Affine = EYE, layer="relu6", **more) -> Entry:
    stitcher = build("linear", join((64, 4, 4), (64, 4, 4)))
    stitcher.start_(start)
    return Entry(layer, layer, stitcher, **more)


def labelled(net, n=24):
    """Images with the classes that the network puts them into, but for every fourth."""
    x, _ = images(n, seed=4)
    with torch.no_grad():
        y = net(x).argmax(1)
    y[::4] = (y[::4] + 1) % 10
    return x, y


def test_a_network_stitched_to_itself_stands_falls_and_turns_as_it_does():
    both = pair((0, 0))
    x, y = labelled(both.front)
    found = attacked.measure(both, {"a": (entry(), PGD)}, [(x[:14], y[:14]), (x[14:], y[14:])])["a"]
    assert found.images == 24
    assert all(torch.equal(found.falls[who], found.falls["front"]) for who in ("end", "stitched"))
    assert 0 < found.robust("stitched") < found.robust("stitched", 0) <= 0.75
    assert len(set(found.right.values())) == 1 and len(found.right) == 9
    assert found.cosines["stitched"]["S"] == pytest.approx(found.cosines["front"]["relu6"], rel=1e-6)
    behind = [name for name in found.cosines["stitched"] if name.startswith("end:")]
    assert behind[-1] == "end:fc" and "front:relu7" not in found.cosines["stitched"]
    for name in behind:
        assert found.cosines["stitched"][name] == pytest.approx(found.cosines["end"][name.removeprefix("end:")], rel=1e-5)


def test_f_and_g_stand_as_an_evaluation_of_each_alone_says():
    both = pair()
    x, y = labelled(both.front)
    turned = Affine(torch.randn(64, 64, generator=torch.Generator().manual_seed(1)) / 8, torch.zeros(64))
    found = attacked.measure(both, {"a": (entry(), PGD), "b": (entry(turned), PGD)}, [(x, y)])
    for who, net in (("front", both.front), ("end", both.end)):
        ascent = Ascent(PGD.linf, torch.Generator().manual_seed(PGD.seed))
        _, falls = evaluate(net, [(x, y)], {"pgd": ascent})
        for one in found.values():
            assert torch.equal(one.falls[who], falls["pgd"].long())
            assert one.robust(who) == robust(falls["pgd"], 6) / 24
    alone = attacked.measure(both, {"b": (entry(turned), PGD)}, [(x, y)])["b"]
    assert torch.equal(alone.falls["stitched"], found["b"].falls["stitched"]) and alone.right == found["b"].right


def test_what_is_made_against_one_network_is_tried_on_the_other_at_its_last_iterate():
    both = pair()
    x, y = labelled(both.front)
    found = attacked.measure(both, {"a": (entry(), PGD)}, [(x, y)])["a"]
    made = pgd(both.end, x, y, PGD.linf, torch.Generator().manual_seed(PGD.seed))
    with torch.no_grad():
        assert found.right["front", "end"] == int((both.front(made).argmax(1) == y).sum())
        assert found.right["end", "end"] == int((both.end(made).argmax(1) == y).sum())


def test_statistics_of_its_own_are_used_while_a_stitched_network_is_attacked():
    both = pair((0, 0))
    x, y = labelled(both.front)
    same = own(both.suffix("relu6"))
    twisted = {name: (mean + 0.5, variance * 2) for name, (mean, variance) in same.items()}
    asked = {name: (entry(statistics=values), PGD) for name, values in (("same", same), ("twisted", twisted))}
    found = attacked.measure(both, asked, [(x, y)])
    assert torch.equal(found["same"].falls["stitched"], found["same"].falls["front"])
    assert not torch.equal(found["twisted"].falls["stitched"], found["same"].falls["stitched"])


def test_cosines_have_their_known_values_and_a_value_of_zeros_has_none():
    reads = {"a": lambda x: x, "b": lambda x: x.flip(1), "zero": lambda x: 0 * x}
    shifts = Shifts(dict.fromkeys(reads, 2), lambda layers: lambda x: {name: reads[name](x) for name in layers})
    cosines = Cosines(shifts)
    cosines.add(torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 0.0]]), torch.tensor([[0.0, 2.0], [4.0, 3.0], [1.0, 1.0]]))
    found = cosines.means()
    assert found["a"] == pytest.approx((0 + 24 / 25) / 2) and found["b"] == pytest.approx(found["a"])
    assert found["zero"] != found["zero"]


def test_values_are_read_in_parts_that_fit(monkeypatch):
    monkeypatch.setattr("repsim.stitching.shifts.BUDGET", 1)
    both = pair()
    shifts = Shifts.of_stitched(both, entry())
    x = images(2)[0]
    small = [read(x) for read in shifts.readers(2)]
    assert [list(one) for one in small] == [[name] for name in shifts.sizes]
    monkeypatch.undo()
    (whole,) = [read(x) for read in shifts.readers(2)]
    for one in small:
        for name, value in one.items():
            torch.testing.assert_close(value, whole[name])
            assert value[0].numel() == shifts.sizes[name]


def test_a_map_is_cut_to_its_best_approximation_of_each_share_of_its_rank():
    generator = torch.Generator().manual_seed(0)
    turn, other = (torch.linalg.qr(torch.randn(64, 64, generator=generator).double()).Q for _ in range(2))
    values = torch.cat([torch.linspace(3, 1, 20), torch.zeros(44)]).double()
    whole = entry(Affine((turn * values @ other.T).float(), torch.ones(64)))
    found = spectrum.truncations(whole)
    assert list(found) == [90, 80, 70, 60, 50, 40, 30, 20, 10]
    for share, r in zip(found, [18, 16, 14, 12, 10, 8, 6, 4, 2], strict=True):
        weight = found[share].stitcher.applied().weight.detach()
        left_out = (whole.stitcher.applied().weight - weight).detach().norm()
        assert left_out.item() == pytest.approx(float(values[r:].norm()), abs=1e-5)
        assert int(torch.linalg.matrix_rank(weight.double(), rtol=1e-6)) == r
        assert torch.equal(found[share].stitcher.applied().bias, torch.ones(64))
    one = spectrum.truncations(entry(Affine(torch.ones(64, 64), torch.zeros(64))))
    assert all(torch.allclose(each.stitcher.applied().weight, torch.ones(64, 64), atol=1e-5) for each in one.values())


def test_rows_of_a_group_hold_what_was_asked_for_and_no_more():
    source = feed(16, 8)
    asked = [
        Asked("all", "relu6", "relu6", Family("linear"), "eye", attack=PGD, truncations=True),
        Asked("none", "relu6", "relu6", Family("linear"), "eye", training=Training(1), objective=Objective()),
    ]
    results = measure(pair((0, 0)), replace(source, attacked=lambda images: source.test()), asked)
    full, bare = (columns(each, results) for each in results.measured)
    assert full["accuracy"] == full["front_accuracy"] and full["robust_accuracy"] == full["front_robust_accuracy"]
    assert full["robust_penalty"] == 0 and len(full["robust_curve"]) == 7 and full["robust_curve"][-1] == full["robust_accuracy"]
    assert full["stitched_on_front"] == full["front_on_stitched"] == full["end_on_front"]
    assert full["stitched_cosine"] == pytest.approx(full["front_cosine"])
    assert len(full["stitched_cosines"]) == len(full["stitched_cosine_layers"].split())
    assert {f"accuracy_rank{share}" for share in range(10, 100, 10)} < full.keys()
    assert not any("robust" in name or "rank1" in name or "cosine" in name for name in bare)

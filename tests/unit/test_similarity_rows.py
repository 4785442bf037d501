"""Measures of the two activations of each image against NumPy, and their pass."""

import numpy as np
import pytest
import torch
from moment_fixtures import normal, related, rotation
from test_similarity_moments import requests

from repsim.errors import InputError
from repsim.similarity import bootstrap
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.rows import ROW_MEASURES, RowPass, l2, sign_overlap
from repsim.similarity.similarity import NOT_FINITE

X, Y = Value("x"), Value("y")


def pair(n: int = 30, p: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    return related(n, p, p)


def test_l2_is_the_mean_length_of_the_differences():
    x, y = pair()
    found = l2(x, y)
    assert found.value == pytest.approx(np.linalg.norm((x - y).numpy(), axis=1).mean(), rel=1e-12)
    assert found.null == pytest.approx(np.linalg.norm((x - y.roll(1, 0)).numpy(), axis=1).mean(), rel=1e-12)
    assert found.details["mean_square"] == pytest.approx(((x - y) ** 2).mean().item(), rel=1e-12)
    assert l2(x, x).value == 0
    turn = rotation(4)
    assert l2(x @ turn + 1, y @ turn + 1).value == pytest.approx(found.value, rel=1e-12)
    assert l2(x @ turn, y).value != pytest.approx(found.value, rel=1e-3)


def test_sign_overlap_is_the_share_of_numbers_active_on_both_sides_or_neither():
    x = torch.tensor([[1.0, -1.0, 0.0], [2.0, 3.0, -4.0]])
    y = torch.tensor([[1.0, -1.0, -5.0], [-2.0, 3.0, -0.1]])
    found = sign_overlap(x, y)
    assert found.value == pytest.approx(5 / 6)
    assert dict(found.details) == pytest.approx({"front_active": 3 / 6, "end_active": 2 / 6})
    assert found.null == pytest.approx(3 / 6)
    assert sign_overlap(x * torch.tensor([1.0, 10.0, 100.0]), y).value == found.value
    assert sign_overlap(x, -x + 0.5).value == pytest.approx(0.0)


def test_rows_of_maps_are_compared_as_a_whole():
    x, y = normal(6, 5, 3), normal(6, 5, 3, seed=1)
    assert l2(x, y).value == pytest.approx(l2(x.flatten(1), y.flatten(1)).value, rel=1e-12)


def test_other_widths_and_tensors_that_are_no_pair_are_refused():
    for measure in ROW_MEASURES.values():
        with pytest.raises(InputError, match=f"{measure.__name__} compares number by number"):
            measure(normal(5, 2), normal(5, 3))
        for x, y in ((normal(5, 2), normal(6, 2)), (torch.ones(5, 2, dtype=torch.bool), normal(5, 2)), (normal(5), normal(5))):
            with pytest.raises(InputError):
                measure(x, y)
        with pytest.raises(InputError, match="not all numbers are finite"):
            measure(normal(5, 2), normal(5, 2).log())


def test_one_image_alone_has_no_null():
    assert l2(normal(1, 2), normal(1, 2, seed=1)).null is None


def passed(asked: list[Request], x: torch.Tensor, y: torch.Tensor, batch: int, **sample: int):
    gathered = RowPass(asked, Sample(len(x), **sample))
    for one, other in zip(x.split(batch), y.split(batch), strict=True):
        gathered.add({X: one}, {Y: other})
    return gathered.results()


@pytest.mark.parametrize("batch", [1, 7, 40])
def test_the_pass_gives_what_the_measures_give_by_themselves(batch):
    x, y = pair(40)
    found = passed(requests(*ROW_MEASURES, view="flatten"), x, y, batch, groups=8, draws=50, seed=1)
    weights = bootstrap.weights(Sample(40, groups=8, draws=50, seed=1))
    for request, similarity in found.items():
        alone = ROW_MEASURES[request.measure](x, y)
        assert similarity.value == pytest.approx(alone.value, rel=1e-12)
        assert similarity.null == pytest.approx(alone.null, rel=1e-12)
        drawn = [torch.cat([torch.arange(5 * g, 5 * g + 5).repeat(int(w)) for g, w in enumerate(row)]) for row in weights]
        values = [float(ROW_MEASURES[request.measure](x[rows], y[rows])) for rows in drawn]
        moved = np.percentile(values, (2.5, 97.5)) - np.mean(values) + float(similarity)
        assert (similarity.low, similarity.high) == pytest.approx(tuple(moved), rel=1e-10)


def test_the_pass_takes_views_and_alignments():
    x, y = normal(6, 3, 4, 4), normal(6, 3, 2, 2, seed=1)
    small = torch.nn.functional.avg_pool2d(x, 2)
    (found,) = passed(requests("l2", align="pool"), x, y, 4).values()
    assert found.value == pytest.approx(l2(small.flatten(1), y.flatten(1)).value, rel=1e-12)
    (pooled,) = passed(requests("l2", view="pool"), x, y, 4).values()
    assert pooled.value == pytest.approx(l2(x.mean((2, 3)), y.mean((2, 3))).value, rel=1e-12)
    with pytest.raises(InputError, match="compares number by number"):
        passed(requests("l2", view="flatten"), x, y, 4)


def test_activations_that_are_not_finite_have_a_status_in_place_of_a_number():
    x, y = pair()
    x[3, 0] = float("inf")
    for found in passed(requests("l2", "sign_overlap", view="flatten"), x, y, 7, groups=3, draws=4).values():
        assert (found.value, found.null, found.low, found.status) == (None, None, None, NOT_FINITE)

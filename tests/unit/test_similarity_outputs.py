"""Measures of what networks answer against SciPy and NumPy, and their pass."""

import numpy as np
import pytest
import torch
from moment_fixtures import normal, shuffles
from scipy.spatial.distance import jensenshannon
from torch import Tensor

from repsim.errors import InputError
from repsim.similarity import bootstrap
from repsim.similarity.outputs import OUTPUT_MEASURES, OutputPass, accuracy_difference, agreement, jensen_shannon
from repsim.similarity.request import Request, Sample, Value

LOGITS = Value("logits")


def outputs(n: int = 40, classes: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of two networks that are right now and then, and the labels."""
    labels = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(2))
    right = 2 * torch.nn.functional.one_hot(labels, classes)
    return normal(n, classes) + right, 2 * normal(n, classes, seed=1) + right, labels


def test_agreement_is_the_share_of_images_in_the_same_class():
    x, y, _ = outputs()
    found = agreement(x, y)
    assert found.value == pytest.approx(np.mean(x.numpy().argmax(1) == y.numpy().argmax(1)), rel=1e-12)
    assert 0.3 < float(found) < 1
    assert agreement(x, 3 * x + 1).value == 1
    assert agreement(x, -x).value == 0


def test_the_null_of_agreement_is_the_mean_over_all_orders_of_the_images():
    x, y, _ = outputs(6, 3)
    values = [float(agreement(x, shuffled)) for shuffled in shuffles(y)]
    assert agreement(x, y).null == pytest.approx(np.mean(values), rel=1e-12)


def test_jensen_shannon_is_the_mean_divergence_of_the_softmax_in_bits():
    x, y, _ = outputs()
    p, q = x.softmax(1).numpy(), y.softmax(1).numpy()
    found = jensen_shannon(x, y)
    assert found.value == pytest.approx((jensenshannon(p.T, q.T, base=2) ** 2).mean(), rel=1e-10)
    assert found.null == pytest.approx((jensenshannon(p.T, np.roll(q, 1, 0).T, base=2) ** 2).mean(), rel=1e-10)
    assert jensen_shannon(x + 50, x).value == pytest.approx(0, abs=1e-12)
    far = torch.tensor([[1000.0, 0.0], [0.0, 1000.0]])
    assert jensen_shannon(far, -far).value == pytest.approx(1, rel=1e-12)


def test_accuracy_difference_is_of_the_two_accuracies_and_tells_them():
    x, y, labels = outputs()
    front, end = (float((logits.argmax(1) == labels).double().mean()) for logits in (x, y))
    found = accuracy_difference(x, y, labels)
    assert found.value == pytest.approx(abs(front - end)) and front != end
    assert dict(found.details) == pytest.approx({"front_accuracy": front, "end_accuracy": end})
    assert found.null is None
    with pytest.raises(InputError, match="need labels"):
        accuracy_difference(x, y)


def test_attributes_are_answered_one_by_one():
    x, y = normal(50, 3), normal(50, 3, seed=1)
    labels = (normal(50, 3, seed=2) > 0).long()
    p, q = x.sigmoid().numpy(), y.sigmoid().numpy()
    found = agreement(x, y, labels)
    assert found.value == pytest.approx(((x > 0) == (y > 0)).double().mean().item(), rel=1e-12)
    yes, other = (x > 0).double().mean(0), (y > 0).double().mean(0)
    assert found.null == pytest.approx((yes * other + (1 - yes) * (1 - other)).mean().item(), rel=1e-12)
    divergences = [jensenshannon([a, 1 - a], [b, 1 - b], base=2) ** 2 for a, b in zip(p.ravel(), q.ravel(), strict=True)]
    assert jensen_shannon(x, y, labels).value == pytest.approx(np.mean(divergences), rel=1e-10)
    accuracy = [((logits > 0) == labels).double().mean().item() for logits in (x, y)]
    assert accuracy_difference(x, y, labels).value == pytest.approx(abs(accuracy[0] - accuracy[1]), rel=1e-12)


def test_networks_with_other_classes_have_no_answers_in_common():
    for measure in (agreement, jensen_shannon):
        with pytest.raises(InputError, match="compares answers"):
            measure(normal(5, 3), normal(5, 4))
    labels = torch.zeros(5, dtype=torch.int64)
    assert accuracy_difference(normal(5, 3), normal(5, 4), labels).value is not None
    with pytest.raises(InputError, match="x has 5 images, y 6"):
        agreement(normal(5, 3), normal(6, 3))


def test_what_is_no_logits_or_no_labels_of_them_is_refused():
    logits, labels = normal(6, 3), torch.zeros(6, dtype=torch.int64)
    for measure in OUTPUT_MEASURES.values():
        with pytest.raises(InputError, match=r"\(6, 2, 3\) is no list of logits"):
            measure(normal(6, 2, 3), normal(6, 2, 3), labels)
        for wrong in (labels[:5], labels.repeat(2), labels[:, None], labels[0]):
            with pytest.raises(InputError, match="are no labels of logits"):
                measure(logits, logits, wrong)
        with pytest.raises(InputError, match="list are no labels"):
            measure(logits, logits, labels.tolist())


def passed(x: Tensor, y: Tensor, labels: Tensor, batch: int, **sample: int):
    asked = [Request(name, LOGITS, LOGITS, "flatten") for name in OUTPUT_MEASURES]
    gathered = OutputPass(asked, Sample(len(x), **sample))
    for part in zip(x.split(batch), y.split(batch), labels.split(batch), strict=True):
        gathered.add(*part)
    return gathered.results()


@pytest.mark.parametrize("batch", [1, 7, 40])
def test_the_pass_gives_what_the_measures_give_by_themselves(batch):
    x, y, labels = outputs()
    found = passed(x, y, labels, batch, groups=8, draws=50, seed=1)
    weights = bootstrap.weights(Sample(40, groups=8, draws=50, seed=1))
    for request, similarity in found.items():
        measure = OUTPUT_MEASURES[request.measure]
        alone = measure(x, y, labels)
        assert similarity.value == pytest.approx(alone.value, rel=1e-12)
        assert similarity.null == (alone.null and pytest.approx(alone.null, rel=1e-12))
        assert dict(similarity.details) == pytest.approx(dict(alone.details))
        drawn = [torch.cat([torch.arange(5 * g, 5 * g + 5).repeat(int(w)) for g, w in enumerate(row)]) for row in weights]
        values = [float(measure(x[rows], y[rows], labels[rows])) for rows in drawn]
        moved = np.percentile(values, (2.5, 97.5)) - np.mean(values) + float(similarity)
        assert (similarity.low, similarity.high) == pytest.approx(tuple(moved), rel=1e-9, abs=1e-12)


def test_outputs_that_are_not_finite_have_a_status_in_place_of_a_number():
    x, y, labels = outputs()
    y[11] = float("nan")
    for similarity in passed(x, y, labels, 9, groups=4, draws=3).values():
        assert (similarity.value, similarity.null, similarity.low) == (None, None, None)
        assert similarity.status == "outputs that are not finite"

"""Probes: the closed form against scikit-learn at every rank and λ, trained heads against scikit-learn and against each alone."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge

from repsim.probing import basis as bases
from repsim.probing import ridge, trained
from repsim.probing.asked import Asked
from repsim.probing.group import others
from repsim.probing.ridge import GRID
from repsim.probing.rows import Site
from repsim.probing.scores import Tally
from repsim.similarity.moments import between
from repsim.stitching.moments import Moments
from repsim.stitching.runs import Training

C = 3


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def maps(n: int = 80) -> torch.Tensor:
    """(n, 4, 2, 3), channels of unequal size that hang together, with means."""
    mixed = drawn(n, 2, 3, 4, seed=1) @ torch.diag(torch.tensor([4.0, 2.0, 1.0, 0.2]).double()) @ drawn(4, 4, seed=2) + 3
    return mixed.movedim(-1, 1)


def labelled(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Classes that follow from the rows, but for some noise, and the same as one-hot rows."""
    y = (rows @ drawn(rows.shape[1], C, seed=3) + drawn(len(rows), C, seed=4)).argmax(1)
    return y, torch.nn.functional.one_hot(y, C).double()


def channel_moments(value: torch.Tensor) -> Moments:
    rows = value.movedim(1, -1).reshape(-1, value.shape[1]) if value.dim() == 4 else value.reshape(-1, value.shape[-1])
    return between(rows, rows)


def approximated(value: torch.Tensor, rank: int) -> torch.Tensor:
    """By scikit-learn: the best approximation of the channels."""
    axis = 1 if value.dim() == 4 else -1
    rows = value.movedim(axis, -1)
    flat = rows.reshape(-1, rows.shape[-1]).numpy()
    pca = PCA(rank).fit(flat)
    return torch.as_tensor(pca.inverse_transform(pca.transform(flat))).reshape(rows.shape).movedim(-1, axis)


VIEWS = {
    "pool": (maps(), lambda value: value.mean((2, 3))),
    "flatten": (maps(), lambda value: value.flatten(1)),
    "class": (maps().flatten(2).mT[:, :5].contiguous(), lambda value: value[:, 0]),
    "mean": (maps().flatten(2).mT.contiguous(), lambda value: value.mean(1)),
    "flatten tokens": (maps().flatten(2).mT.contiguous(), lambda value: value.flatten(1)),
}


@pytest.mark.parametrize("rank", [None, 1, 2, 4])
@pytest.mark.parametrize("view", VIEWS)
def test_the_closed_form_is_the_ridge_of_scikit_learn_on_the_approximated_layer_for_every_lambda(view, rank):
    value, make = VIEWS[view]
    rows = make(value)
    _, one_hot = labelled(rows)
    found = bases.found(channel_moments(value), tuple(value.shape[1:]), view.split()[0])
    heads = ridge.solve(between(rows, one_hot), found, rank, GRID)
    seen = (rows if rank is None else make(approximated(value, rank))).numpy()
    power = ((seen - seen.mean(0)) ** 2).sum() / seen.shape[1]
    for place, lam in enumerate(GRID):
        if lam < 1e-6:
            continue  # scikit-learn's own solution of a singular matrix has fewer digits
        oracle = Ridge(lam * power, solver="svd").fit(seen, one_hot.numpy())
        np.testing.assert_allclose(heads(rows)[place], oracle.predict(seen), atol=1e-7)


def test_full_rank_changes_nothing_and_lower_ranks_explain_less():
    value, make = VIEWS["pool"]
    rows = make(value)
    _, one_hot = labelled(rows)
    found, plain = bases.found(channel_moments(value), (4, 2, 3), "pool"), bases.whole(4, rows)
    moments = between(rows, one_hot)
    full, whole, none = (ridge.solve(moments, *how, GRID) for how in ((found, 4), (found, None), (plain, None)))
    for other in (full, whole):
        torch.testing.assert_close(other.weight, none.weight, rtol=1e-8, atol=1e-8)
    shares = [found.explained(rank) for rank in (1, 2, 3, 4, None)]
    flat = value.movedim(1, -1).reshape(-1, 4).numpy()
    assert shares == sorted(shares) and shares[-1] == 1.0
    np.testing.assert_allclose(shares[:4], np.cumsum(PCA(4).fit(flat).explained_variance_ratio_), rtol=1e-10)


def test_turning_and_back_is_nothing_in_every_layout():
    for view, (value, make) in VIEWS.items():
        rows = make(value)
        found = bases.found(channel_moments(value), tuple(value.shape[1:]), view.split()[0])
        torch.testing.assert_close(found.back(found.turn(rows)), rows)
        assert found.middle().shape == rows.shape[1:]


def test_rows_that_do_not_vary_are_answered_by_the_shares_of_the_classes():
    rows = torch.full((20, 2), 3.0, dtype=torch.float64)
    y = torch.arange(20) % C
    one_hot = torch.nn.functional.one_hot(y, C).double()
    heads = ridge.solve(between(rows, one_hot), bases.whole(2, rows), None, [1e-3])
    torch.testing.assert_close(heads(rows)[0], one_hot.mean(0).expand(20, -1))


def test_validation_prefers_accuracy_then_the_smaller_error_then_the_larger_lambda():
    assert ridge.best([0.5, 0.7, 0.7], [0.1, 0.4, 0.3]) == 2
    assert ridge.best([0.7, 0.7, 0.6], [0.3, 0.3, 0.1]) == 0


def stack_of(asked, rows, found):
    return trained.stacks(asked, {SITE: found}, {SITE: rows.shape[1]}, C, torch.device("cpu"))


SITE = Site("layer", "pool")
SLOW = Training(3, "adam", 1e-2, 1e-3, 0.0, "cosine")


def fitted(asked, batch: int = 16, standard: bool = False):
    """(stacks trained on the pooled maps, rows, labels)"""
    value, make = VIEWS["pool"]
    rows = (make(value) - make(value).mean(0)) / make(value).std(0) if standard else make(value)
    y, _ = labelled(rows)
    found = stack_of(asked, rows, bases.found(channel_moments(value), (4, 2, 3), "pool"))
    generator = torch.Generator().manual_seed(7)

    def epoch():
        for index in torch.randperm(len(rows), generator=generator).split(batch):
            yield rows[index], y[index], index

    trained.train(found, epoch, lambda x, index: {SITE: rows[index].float()}, others(y))
    return found, rows, y


def test_probes_trained_together_are_those_trained_alone():
    asked = [Asked(f"{rank}-{seed}", SITE, rank, training=SLOW, seed=seed) for rank in (1, 3, None) for seed in (0, 5)]
    together, *_ = fitted(asked)
    pairs = {one: pair for stack in together for one, pair in stack.pairs().items()}
    for one in asked:
        (alone,), *_ = fitted([one])
        for mine, theirs in zip(pairs[one], alone.pairs()[one], strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    assert len({float(pair.weight.sum()) for pair in pairs.values()}) == len(asked)


def test_a_probe_of_a_lower_rank_is_the_one_trained_on_the_approximated_rows():
    """W is trained as it stands: Adam makes other steps in other coordinates."""
    value, make = VIEWS["pool"]
    low, rows = make(approximated(value, 2)), make(value)
    y, _ = labelled(rows)
    (stack,), *_ = fitted([Asked("low", SITE, 2, training=SLOW, seed=1)])
    (head, _) = stack.pairs()[stack.asked[0]]
    linear = torch.nn.Linear(4, C)
    weight, bias = trained._start(1, 4, C)
    linear.load_state_dict({"weight": weight.T, "bias": bias})
    optimizer = torch.optim.Adam([{"params": [linear.weight], "weight_decay": 1e-3}, {"params": [linear.bias]}], lr=1e-2)
    generator = torch.Generator().manual_seed(7)
    for number in range(3):
        optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"] = SLOW.lr_at(number)
        for index in torch.randperm(len(rows), generator=generator).split(16):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(linear(low[index].float()), y[index]).backward()
            optimizer.step()
    outputs = rows @ head[0] + stack.pairs()[stack.asked[0]].bias[0]
    torch.testing.assert_close(outputs, linear(low.float()).double(), rtol=1e-4, atol=1e-4)


def test_a_probe_trained_to_the_end_is_the_logistic_regression_of_scikit_learn():
    decay = 1e-2
    patient = Training(500, "sgd", 0.5, decay, 0.9, "cosine")
    (stack,), rows, y = fitted([Asked("end", SITE, training=patient)], batch=80, standard=True)
    oracle = LogisticRegression(C=1 / (decay * len(rows)), tol=1e-10, max_iter=10_000).fit(rows.numpy(), y.numpy())
    outputs = (rows @ stack.pairs()[stack.asked[0]].weight[0] + stack.pairs()[stack.asked[0]].bias[0]).softmax(1)
    np.testing.assert_allclose(outputs, oracle.predict_proba(rows.numpy()), atol=5e-3)


def test_a_training_whose_weights_leave_the_numbers_has_diverged():
    (stack,), *_ = fitted([Asked("wild", SITE, training=Training(4, "sgd", 1e20, 0.5))])
    assert [note[1] for note in stack.notes().values()] == [True]


def test_others_gives_every_image_the_label_of_another_one():
    labels = torch.arange(50)
    found = others(labels)
    assert found.sort().values.tolist() == labels.tolist() and not bool((found == labels).any())


def test_scores_are_those_counted_by_hand():
    logits = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])
    tally = Tally(logits=True)
    for part, y in ((logits[:, :2], torch.tensor([0, 1])), (logits[:, 2:], torch.tensor([1]))):
        tally.add(part.double(), y)
    (score,) = tally.scores()
    p, q, r = (1 / (1 + np.exp(-margin)) for margin in (2, 1, 1))
    assert score.accuracy == pytest.approx(2 / 3)
    assert score.loss == pytest.approx(-(np.log(p) + np.log(q) + np.log(1 - r)) / 3)
    assert score.brier == pytest.approx((2 * (1 - p) ** 2 + 2 * (1 - q) ** 2 + 2 * r**2) / 3)
    assert score.ece == pytest.approx(((1 - p) + abs((1 - q) - r)) / 3)

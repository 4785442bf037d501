"""The jobs that leave a network behind: trained here, or brought in from elsewhere."""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from repsim import identity, job
from repsim.data import batches, images, sources
from repsim.errors import InputError, Interrupted, SpecError, UserError
from repsim.models import checkpoint, training, zoo
from repsim.models.layers import describe

JOBS = Path(__file__).parents[2] / "jobs"
TRAIN = job.load(JOBS, "train")
IMPORT = job.load(JOBS, "import_network")
MCNN = {"arch": "mcnn", "width": 4, "dataset": "digits", "recipe": "quick"}


@dataclass
class Catalog:
    """What a plan offers to a job's check."""

    data_folders: tuple[Path, ...] = ()

    def layers(self, facts):
        return describe(facts)


def digest_of(config):
    return hashlib.sha256(json.dumps(config.model_dump()).encode()).hexdigest()[:12]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def context(cache, artefacts, **more):
    return job.Context("cpu", (), cache, artefacts, digest_of, **more)


def train(cache, artefacts, more=None, **config):
    config = TRAIN.config(**{**MCNN, "epochs": 1, "train_images": 256, **config})
    (row,) = TRAIN.run([config], context(cache, artefacts, **(more or {})))
    return row


def stored(artefacts, row):
    return checkpoint.load(artefacts / row.run_id / "network.pt")


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_the_quick_recipe_recognises_held_out_digits(cache, tmp_path):
    row = train(cache, tmp_path, width=8, epochs=None, train_images=None, seed=1)
    assert row.outcome == "ok" and row.accuracy > 0.97 and row.train_accuracy > 0.98
    assert (row.test_images, row.train_images, row.epochs) == (500, 1297, 12)


def test_the_stored_network_is_the_one_that_was_scored(cache, tmp_path):
    row = train(cache, tmp_path)
    network = stored(tmp_path, row)
    score = training.evaluate(network, batches.ordered(images.load("digits", "test", (), cache), 77))
    assert (score.accuracy, score.n) == (row.accuracy, row.test_images)
    assert score.loss == pytest.approx(row.loss, rel=1e-5)
    assert row.parameters == sum(p.numel() for p in network.parameters())
    assert network.facts.arch == "mcnn" and network.facts.width == 4 and network.mean.flatten().tolist() == pytest.approx([0.3056])


def test_equal_seeds_give_equal_networks_and_each_seed_matters(cache, tmp_path):
    networks = {}
    for name, seeds in {"a": (1, None), "b": (1, 1), "weights": (2, 1), "order": (1, 2)}.items():
        row = train(cache, tmp_path / name, seed=seeds[0], data_seed=seeds[1])
        networks[name] = stored(tmp_path / name, row)
    assert same(networks["a"], networks["b"])
    assert not same(networks["a"], networks["weights"]) and not same(networks["a"], networks["order"])


def by_hand(cache, optimizer, rates, batch_size):
    """Three epochs over 200 digits, as a plain loop."""
    digits = sources.get("digits")
    network = zoo.build(TRAIN.hook("network")(TRAIN.config(**MCNN)), digits.mean, digits.std, torch.Generator().manual_seed(7))
    split = images.take(images.load("digits", "train", (), cache), 200, seed=0)
    generator, made = torch.Generator().manual_seed(8), optimizer(network)
    for rate in rates:
        for group in made.param_groups:
            group["lr"] = rate
        for x, y, _ in batches.batches(split, batch_size, generator, "crop_flip"):
            made.zero_grad()
            torch.nn.functional.cross_entropy(network(x), y).backward()
            made.step()
    return network


def adam(network):
    named = dict(network.named_parameters())
    weights, others = ([value for name, value in named.items() if name.endswith("weight") == wanted] for wanted in (True, False))
    return torch.optim.Adam([{"params": weights, "weight_decay": 1e-4}, {"params": others}])


def sgd(network):
    return torch.optim.SGD(network.parameters(), lr=1, momentum=0.9, nesterov=True, weight_decay=1e-4)


@pytest.mark.parametrize(
    ("recipe", "optimizer", "rates", "size"),
    [("frankenstein", sgd, [0.1, 0.1 * 0.1, 0.1 * 0.1**2], 128), ("modelsym", adam, [1e-3, 1e-3 / 2, 1e-3 / 4], 32)],
)
def test_the_published_recipes_give_the_very_weights_of_a_plain_loop(cache, tmp_path, recipe, optimizer, rates, size):
    row = train(cache, tmp_path, recipe=recipe, seed=7, data_seed=8, epochs=3, train_images=200)
    assert same(stored(tmp_path, row), by_hand(cache, optimizer, rates, size))


def test_a_dry_run_takes_few_steps_but_leaves_all_that_a_run_leaves(cache, tmp_path):
    ticks = []
    row = train(cache, tmp_path, {"steps": 2, "report": lambda f, t: ticks.append(t)}, epochs=None, train_images=None)
    assert [text.split(",")[0] for text in ticks] == ["epoch 1 of 12"] * 2 + ["scoring"] * 4  # test images twice, training images
    assert row.epochs == 1 and stored(tmp_path, row)


@pytest.mark.parametrize(("every", "epochs"), [(0, []), (1, [1, 2, 3, 4, 5]), (2, [2, 4]), (5, [5]), (6, [])])
def test_a_training_tells_which_epochs_it_keeps(every, epochs):
    assert list(TRAIN.hook("kept")(TRAIN.config(**{**MCNN, "epochs": 5, "checkpoint_every": every}))) == epochs


def test_a_training_that_is_told_to_stop_leaves_no_network(cache, tmp_path):
    with pytest.raises(Interrupted):
        train(cache, tmp_path, {"should_stop": lambda: True})
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["resume.pt"]


def test_a_diverged_network_leaves_a_row_and_no_artefact(cache, tmp_path, monkeypatch):
    original = zoo.build

    def broken(*args):
        network = original(*args)
        torch.nn.init.constant_(network.body.fc.bias, torch.nan)
        return network

    monkeypatch.setattr(zoo, "build", broken)
    row = train(cache, tmp_path)
    assert (row.outcome, row.loss, row.train_loss) == ("diverged", None, None)
    assert 0 <= row.accuracy < 0.3
    assert not list(tmp_path.rglob("network.pt"))


def test_a_curve_has_an_entry_per_epoch_scored_on_the_images_that_were_held_out(cache, tmp_path):
    row = train(cache, tmp_path, epochs=3, train_images=None, validation=97, split_seed=5, eval_every=2)
    assert (row.train_images, row.validation_images, row.test_images, row.curve_on) == (1200, 97, 500, "validation")
    assert row.curve_epoch == [1, 2, 3] and [math.isnan(value) for value in row.curve_accuracy] == [True, False, True]
    assert row.curve_train_loss[-1] == row.train_loss and row.curve_train_loss[0] > row.curve_train_loss[2]
    assert row.curve_train_accuracy[0] < row.curve_train_accuracy[2] and row.curve_seconds == sorted(row.curve_seconds)
    _, held = images.holdout(images.load("digits", "train", (), cache), 97, 5)
    assert training.evaluate(stored(tmp_path, row), batches.ordered(held, 97)).accuracy == row.validation_accuracy


def test_without_held_out_images_the_curve_ends_with_the_test_accuracy_and_says_so(cache, tmp_path):
    row = train(cache, tmp_path, epochs=2)
    assert (row.curve_on, row.validation_accuracy, row.validation_images) == ("test", None, 0)
    assert row.curve_accuracy[-1] == row.accuracy and row.curve_loss[-1] == pytest.approx(row.loss)


def test_what_is_scored_and_kept_on_the_way_changes_no_weight(cache, tmp_path):
    plain = train(cache, tmp_path / "a", epochs=2)
    watched = train(cache, tmp_path / "b", epochs=2, eval_every=0, checkpoint_every=1, deterministic=True)
    assert same(stored(tmp_path / "a", plain), stored(tmp_path / "b", watched))
    assert all(map(math.isnan, watched.curve_accuracy)) and not torch.are_deterministic_algorithms_enabled()


def test_checkpoints_are_networks_and_the_last_one_is_the_result(cache, tmp_path):
    row = train(cache, tmp_path, epochs=4, checkpoint_every=2, ema=0.95)
    folder = tmp_path / row.run_id
    assert sorted(file.name for file in folder.iterdir()) == ["epoch_0002.pt", "epoch_0004.pt", "last.pt", "network.pt"]
    early, late, last = (checkpoint.load(folder / name) for name in ("epoch_0002.pt", "epoch_0004.pt", "last.pt"))
    assert same(late, stored(tmp_path, row)) and not same(early, late) and not same(last, late)
    test = images.load("digits", "test", (), cache)
    assert training.evaluate(last, batches.ordered(test, 500)).accuracy == row.last_accuracy


def test_the_row_says_what_was_used(cache, tmp_path):
    row = train(cache, tmp_path, epochs=2, batch_size=32, weight_decay=0.0, ema=0.9, clip=1.0, precision="bf16", channels_last=True)
    assert (row.used_batch_size, row.used_lr, row.used_weight_decay, row.used_schedule) == (32, 0.1, 0.0, "one_cycle")
    assert (row.used_ema, row.used_clip, row.used_precision, row.used_augment, row.used_adversary) == (
        0.9,
        1.0,
        "bf16",
        "none",
        "none",
    )
    assert row.trained_at_once == 1 and row.images_per_second * row.train_seconds == pytest.approx(512)
    assert 0 < row.accuracy <= 1 and row.last_accuracy is not None


def test_networks_trained_together_are_those_trained_alone(cache, tmp_path):
    alone = [train(cache, tmp_path / "alone", seed=seed, epochs=2) for seed in range(3)]
    configs = [TRAIN.config(**MCNN, epochs=2, train_images=256, seed=seed, together=2) for seed in range(3)]
    rows = list(TRAIN.run(configs, context(cache, tmp_path / "together")))
    assert [row.trained_at_once for row in rows] == [2, 2, 1]
    for one, other in zip(alone, rows, strict=True):
        assert other.accuracy == pytest.approx(one.accuracy, abs=0.01) and other.train_loss == pytest.approx(
            one.train_loss, rel=1e-3
        )
        mine, its = stored(tmp_path / "alone", one).state_dict(), stored(tmp_path / "together", other).state_dict()
        for name, value in mine.items():
            torch.testing.assert_close(value, its[name], rtol=2e-2, atol=2e-3)
    assert not list(tmp_path.rglob("resume.pt"))


def test_networks_with_dropout_are_trained_one_after_the_other(cache, tmp_path, monkeypatch):
    original = zoo.build

    def dropping(*args):
        network = original(*args)
        network.body.flatten = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.2))
        return network

    monkeypatch.setattr(zoo, "build", dropping)
    configs = [TRAIN.config(**MCNN, epochs=1, train_images=256, seed=seed, together=2) for seed in range(2)]
    rows = list(TRAIN.run(configs, context(cache, tmp_path)))
    alone = train(cache, tmp_path / "alone", seed=1)
    assert [row.trained_at_once for row in rows] == [1, 1]
    assert (rows[1].accuracy, rows[1].train_loss) == (alone.accuracy, alone.train_loss)


@pytest.mark.parametrize("adversary", ["madry", "trades"])
def test_a_network_can_be_trained_on_attacked_images(cache, tmp_path, adversary):
    row = train(cache, tmp_path, adversary=adversary, attack_steps=2, epsilon=0.1, epochs=3)
    plain = train(cache, tmp_path / "plain", epochs=3)
    assert row.used_adversary == adversary and row.accuracy > 0.3 and row.train_loss > plain.train_loss
    assert all(map(math.isnan, row.curve_train_accuracy)) and not math.isnan(row.curve_accuracy[-1])


@pytest.mark.parametrize("images, size", [(33, 16), (1, 16), (3, 1)])
def test_a_last_batch_of_one_image_is_refused_at_once_where_a_norm_would_see_one_number(cache, tmp_path, images, size):
    small = {"dataset": "digits", "width": 1, "epochs": 1, "train_images": images, "batch_size": size}
    with pytest.raises(InputError, match="leave a batch of one image"):
        train(cache, tmp_path / "refused", arch="resnet18", **small)
    train(cache, tmp_path / "larger_maps", arch="mcnn", **small)


def test_every_field_and_every_column_is_explained():
    for loaded in (TRAIN, IMPORT):
        for model in (loaded.config, loaded.row):
            assert all(field.description for field in model.model_fields.values()), model


@pytest.mark.parametrize(
    "field",
    [
        {"seed": -1},
        {"epochs": 0},
        {"lr": 0.0},
        {"batch_size": 0},
        {"width": 0},
        {"arch": "../x"},
        {"seeds": 1},
        {"augment": "flop"},
        {"ema": 1.0},
    ],
)
def test_values_that_cannot_be_meant_are_refused(field):
    with pytest.raises(ValidationError):
        TRAIN.config(**{**MCNN, **field})


def test_each_training_is_a_group_of_its_own():
    one, two = TRAIN.config(**MCNN), TRAIN.config(**MCNN, seed=1)
    assert TRAIN.inputs(one) == []
    assert hash(TRAIN.group_key(one)) == hash(TRAIN.group_key(TRAIN.config(**MCNN)))
    assert TRAIN.group_key(one) != TRAIN.group_key(two)


def test_networks_to_be_trained_together_are_groups_of_successive_seeds():
    configs = [TRAIN.config(**MCNN, seed=seed, together=3) for seed in range(7)]
    groups = [TRAIN.group_key(config) for config in configs]
    assert len(set(map(hash, groups))) == 3 and [groups.index(group) for group in groups] == [0, 0, 0, 3, 3, 3, 6]
    assert TRAIN.group_key(TRAIN.config(**MCNN, seed=1, together=3, lr=0.2)) != groups[1]


def test_how_many_are_trained_together_is_no_part_of_a_runs_name():
    one, three = (TRAIN.config(**MCNN, seed=1, together=k) for k in (1, 3))
    assert identity.id_of(TRAIN, one) == identity.id_of(TRAIN, three)


def test_the_names_of_networks_from_before_these_fields_still_hold():
    assert identity.id_of(TRAIN, TRAIN.config(arch="resnet20", dataset="cifar10", seed=3)) == "5e1b98eb2b33"


def test_an_attack_is_work():
    plain, attacked = (TRAIN.config(**MCNN, epochs=2, validation=97, **more) for more in ({}, {"adversary": "madry"}))
    assert TRAIN.hook("work")(plain) == 2 * 1200
    assert TRAIN.hook("work")(attacked) == 11 * 2 * 1200


def test_the_network_of_a_config_has_the_data_sets_classes_and_size():
    facts = TRAIN.hook("network")(TRAIN.config(arch="resnet20", dataset="cifar10"))
    assert facts == job.NetworkFacts("resnet20", None, 10, 3, 32)


@pytest.mark.parametrize(
    ("field", "kind", "message"),
    [
        ({"recipe": "quik"}, InputError, "did you mean 'quick'"),
        ({"dataset": "digit"}, InputError, "did you mean 'digits'"),
        ({"dataset": "cifar10"}, InputError, "was not found"),
        ({"arch": "mcn"}, UserError, "mcnn"),
        ({"train_images": 1298}, SpecError, "'digits' has 1297"),
        ({"train_images": 1200, "validation": 98}, SpecError, "1200 images to train on and 98 held out, but 'digits' has 1297"),
        ({"validation": 1297}, SpecError, "'digits' has 1297"),
        ({"split_seed": 1}, SpecError, "no meaning without validation"),
        ({"epsilon": 0.1}, InputError, "no meaning without an adversary"),
        ({"adversary": "trades", "together": 2}, SpecError, "cannot be trained together"),
    ],
)
def test_a_config_that_cannot_run_is_found_before_it_is_sent(tmp_path, field, kind, message):
    with pytest.raises(kind, match=message):
        TRAIN.hook("check")(TRAIN.config(**{**MCNN, **field}), Catalog((tmp_path,)))


def test_a_config_that_can_run_passes_the_check():
    TRAIN.hook("check")(TRAIN.config(**MCNN), Catalog())


def foreign(artefacts, network):
    """Stage the plain state dict of `network` as the command line does; the config that imports it."""
    file = artefacts / "raw.pt"
    torch.save(network.body.state_dict(), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (artefacts / "imports").mkdir()
    file.rename(artefacts / "imports" / f"{digest}.pt")
    return IMPORT.config(arch="mcnn", width=4, dataset="digits", name="elsewhere", seed=3, digest=digest)


def test_an_imported_network_keeps_its_weights_and_its_accuracy(cache, tmp_path):
    row = train(cache, tmp_path, epochs=4)
    trained = stored(tmp_path, row)
    config = foreign(tmp_path, trained)
    IMPORT.hook("check")(config, Catalog())
    (brought,) = IMPORT.run([config], context(cache, tmp_path))
    assert brought.run_id != row.run_id and row.accuracy > 0.5
    assert (brought.accuracy, brought.loss, brought.test_images) == (row.accuracy, row.loss, 500)
    assert brought.parameters == row.parameters and same(stored(tmp_path, brought), trained)


def test_a_file_other_than_the_one_named_is_refused(cache, tmp_path):
    config = foreign(tmp_path, zoo.build(TRAIN.hook("network")(TRAIN.config(**MCNN))))
    file = tmp_path / "imports" / f"{config.digest}.pt"
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(InputError, match="SHA-256 differs"):
        list(IMPORT.run([config], context(cache, tmp_path)))
    file.unlink()
    with pytest.raises(InputError, match="is not there"):
        list(IMPORT.run([config], context(cache, tmp_path)))


def test_weights_of_another_width_are_refused(cache, tmp_path):
    config = foreign(tmp_path, zoo.build(TRAIN.hook("network")(TRAIN.config(**{**MCNN, "width": 5}))))
    with pytest.raises(InputError, match="conv1"):
        list(IMPORT.run([config], context(cache, tmp_path)))
    assert not list(tmp_path.rglob("network.pt"))

"""A trained stitcher comes back from its file as it was; everything else is refused with the file's name and what to do."""

import os
from pathlib import Path

import pytest
import torch

from repsim.errors import InputError
from repsim.models import checkpoint
from repsim.models.network import Facts
from repsim.models.zoo import build
from repsim.stitching.saved import Map, Saved, load, save

CURVE = [
    {"epoch": 1, "train_loss": 2.5, "validation_accuracy": 0.25, "validation_loss": None},
    {"epoch": 2, "train_loss": 1.5, "validation_accuracy": 0.5, "validation_loss": 1.25},
]


def a_stitcher(**changes) -> Saved:
    draw = torch.Generator().manual_seed(3)
    values = {
        "weight": torch.randn(3, 5, generator=draw),
        "bias": torch.randn(3, generator=draw),
        "scales": None,
        "start": Map(torch.randn(3, 5, generator=draw), None, torch.ones(3)),
        "unrounded": Map(torch.randn(3, 5, generator=draw)),
        "alignment": {"token": torch.randn(3, generator=draw)},
        "statistics": {"part.bn2": (torch.randn(4, generator=draw), torch.rand(4, generator=draw))},
        "curve": CURVE,
        "config": {"stitcher": "linear", "rank": None, "lr": 1e-3},
    }
    return Saved(**{**values, **changes})


def refused(path: Path) -> str:
    """The message of the InputError that names the file and says what to do."""
    with pytest.raises(InputError) as caught:
        load(path)
    assert caught.value.where == str(path) and caught.value.do
    return caught.value.what


def test_a_saved_stitcher_comes_back_bit_for_bit(tmp_path):
    one = a_stitcher()
    save(one, tmp_path / "stitcher.pt")
    again = load(tmp_path / "stitcher.pt")
    for found, given in ((again, one), (again.start, one.start), (again.unrounded, one.unrounded)):
        for name in Map._fields:
            torch.testing.assert_close(getattr(found, name), getattr(given, name), rtol=0, atol=0)
    torch.testing.assert_close(dict(again.alignment), dict(one.alignment), rtol=0, atol=0)
    torch.testing.assert_close(dict(again.statistics), dict(one.statistics), rtol=0, atol=0)
    assert (again.curve, again.config) == (CURVE, one.config)
    assert [path.name for path in tmp_path.iterdir()] == ["stitcher.pt"]


def test_the_file_is_read_without_repsim(tmp_path):
    save(a_stitcher(), tmp_path / "stitcher.pt")
    parts = torch.load(tmp_path / "stitcher.pt", weights_only=True)
    assert parts["weight"].shape == (3, 5) and parts["curve"][1]["epoch"] == 2


def test_a_view_of_a_large_trained_tensor_is_saved_alone_and_without_its_gradient(tmp_path):
    bank = torch.nn.Parameter(torch.zeros(1000, 3, 5))
    save(a_stitcher(weight=bank[7]), tmp_path / "stitcher.pt")
    assert (tmp_path / "stitcher.pt").stat().st_size < 10_000
    assert not load(tmp_path / "stitcher.pt").weight.requires_grad


def test_a_number_that_is_not_finite_is_none_in_a_curve(tmp_path):
    save(a_stitcher(curve=[{"epoch": 1, "train_loss": float("nan")}]), tmp_path / "s.pt")
    assert load(tmp_path / "s.pt").curve == [{"epoch": 1, "train_loss": None}]


@pytest.mark.parametrize("changes", [{"config": {"path": Path()}}, {"config": {"lr": float("inf")}}, {"curve": [{"epoch": {1}}]}])
def test_what_is_no_plain_data_is_not_written(tmp_path, changes):
    with pytest.raises((TypeError, ValueError)):
        save(a_stitcher(**changes), tmp_path / "s.pt")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be written: No such file"):
        save(a_stitcher(), tmp_path / "missing" / "stitcher.pt")


def test_damage_is_found(tmp_path):
    path = tmp_path / "stitcher.pt"
    assert "no such file" in refused(path)
    save(a_stitcher(), path)
    whole = path.read_bytes()
    at = whole.index(a_stitcher().weight.numpy().tobytes())
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert "damaged" in refused(path)
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refused(path)


class Code:
    """Unpickled by an ordinary reader, this makes a folder."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_foreign_files_are_refused_and_no_code_in_them_is_run(tmp_path):
    network = build(Facts("mcnn", 4, 10, 3, 8), (0.0,) * 3, (1.0,) * 3, torch.Generator().manual_seed(1))
    checkpoint.save(network, tmp_path / "network.pt", {})
    assert "is no stitcher" in refused(tmp_path / "network.pt")
    torch.save({"weight": Code(tmp_path / "made")}, tmp_path / "code.pt")
    assert "holds an object of posix.mkdir" in refused(tmp_path / "code.pt")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"weight": torch.zeros(3)},
        {"bias": torch.zeros(5)},
        {"scales": torch.zeros(1, 3)},
        {"start": Map(torch.zeros(2, 5), torch.zeros(3))},
    ],
)
def test_shapes_that_fit_no_map_are_refused(tmp_path, changes):
    save(a_stitcher(**changes), tmp_path / "s.pt")
    assert "describes no stitcher" in refused(tmp_path / "s.pt")

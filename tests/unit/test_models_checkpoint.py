"""Network files come back as they were written; everything else is refused with the file's name and what to do."""

import errno
import io
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from repsim.errors import DiskError, InputError
from repsim.models import tensorfile
from repsim.models.checkpoint import load, read_foreign, save
from repsim.models.network import Facts, Network
from repsim.models.zoo import build

FACTS = Facts("mcnn", 4, 10, 3, 8)


def a_network() -> Network:
    network = build(FACTS, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), torch.Generator().manual_seed(1))
    network(torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(2)))  # BatchNorm statistics of its own
    return network


def a_state() -> OrderedDict:
    return a_network().body.state_dict()


def refused(call, *arguments) -> str:
    """The message of the InputError that names the file and says what to do."""
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert caught.value.where == str(arguments[0]) and caught.value.do
    return str(caught.value)


class Code:
    """Unpickled by an ordinary reader, this makes a folder."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_saved_network_comes_back_with_weights_statistics_and_normalisation(tmp_path):
    network = a_network()
    save(network, tmp_path / "network.pt", {"recipe": "none", "accuracy": 0.5})
    again = load(tmp_path / "network.pt")
    x = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    assert again.facts == FACTS and not again.training
    assert torch.equal(again(x), network.eval()(x))
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in network.state_dict().items())


def test_saving_replaces_the_old_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "network.pt"
    path.write_bytes(b"old")
    save(a_network(), path, {})
    assert load(path).facts == FACTS and [p.name for p in tmp_path.iterdir()] == ["network.pt"]


def test_what_cannot_be_saved_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "network.pt"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        save(a_network(), path, {"path": path})
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["network.pt"]


def test_a_disk_that_is_full_half_way_is_said_and_leaves_the_old_file_alone(tmp_path):
    class Full(io.BytesIO):
        def write(self, data):
            if self.tell() > 2000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    (tmp_path / "network.pt").write_bytes(b"old")
    with pytest.raises(DiskError, match=r"network.pt: cannot be written: No space left on device"):
        tensorfile._whole(tmp_path / "network.pt", lambda file: torch.save(a_state(), Full()))
    assert (tmp_path / "network.pt").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot be written: No such file"):
        save(a_network(), tmp_path / "missing" / "network.pt", {})


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("prefix", ["", "module.", "model.module.", "body.", "_orig_mod.", "module._orig_mod.model."])
def test_plain_state_dicts_of_both_formats_and_with_prefixes_are_read(tmp_path, zipped, prefix):
    state, path = a_state(), tmp_path / "foreign.pt"
    torch.save(OrderedDict((prefix + key, value) for key, value in state.items()), path, _use_new_zipfile_serialization=zipped)
    found = read_foreign(path, FACTS).state
    assert list(found) == list(state) and all(torch.equal(found[key], state[key]) for key in state)


def test_a_state_dict_inside_a_training_checkpoint_is_found(tmp_path):
    torch.save({"epoch": 3, "state_dict": a_state()}, tmp_path / "foreign.pt")
    assert torch.equal(read_foreign(tmp_path / "foreign.pt", FACTS).state["fc.bias"], a_state()["fc.bias"])


def test_batch_counters_that_old_files_lack_are_filled_in(tmp_path):
    torch.save({k: v for k, v in a_state().items() if "num_batches" not in k}, tmp_path / "foreign.pt")
    found = read_foreign(tmp_path / "foreign.pt", FACTS).state
    assert found["bn1.num_batches_tracked"] == 0 and found["bn1.num_batches_tracked"].dtype == torch.int64


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_cut_short_anywhere_is_refused(tmp_path, zipped):
    path = tmp_path / "foreign.pt"
    torch.save(a_state(), path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for length in (0, 1, 5, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        message = refused(read_foreign, path, FACTS)
        assert "damaged" in message or "state dict" in message, (length, message)


def test_a_saved_network_cut_short_or_with_one_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "network.pt"
    save(a_network(), path, {})
    whole = bytearray(path.read_bytes())
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refused(load, path)
    place = whole.index(a_state()["conv4.weight"].numpy().tobytes())
    whole[place + 1] ^= 1
    path.write_bytes(whole)
    assert "is damaged (" in refused(load, path)


def test_a_state_dict_with_one_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(a_state(), path)
    content = bytearray(path.read_bytes())
    content[content.index(a_state()["conv2.weight"].numpy().tobytes()) + 100] ^= 1
    path.write_bytes(content)
    assert "is damaged (weights/data/" in refused(read_foreign, path, FACTS)


def test_a_network_of_ours_that_is_handed_on_tells_its_normaliser(tmp_path):
    save(a_network(), tmp_path / "network.pt", {})
    found = read_foreign(tmp_path / "network.pt", FACTS)
    assert found.mean == pytest.approx((0.1, 0.2, 0.3)) and found.std == pytest.approx((0.4, 0.5, 0.6))
    assert all(torch.equal(value, found.state[key]) for key, value in a_state().items())


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_named_and_not_run(tmp_path, zipped):
    path, trap = tmp_path / "foreign.pt", tmp_path / "trap"
    torch.save({"conv1.weight": Code(trap)}, path, _use_new_zipfile_serialization=zipped)
    for call in (lambda p: read_foreign(p, FACTS), load):
        assert "holds an object of posix.mkdir" in refused(call, path)
    assert not trap.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_code_in_a_plain_pickle_is_not_run(tmp_path, protocol):
    path, trap = tmp_path / "foreign.pt", tmp_path / "trap"
    path.write_bytes(pickle.dumps({"conv1.weight": Code(trap)}, protocol))
    refused(read_foreign, path, FACTS)
    assert not trap.exists()
    pickle.loads(path.read_bytes())
    assert trap.exists()


def test_a_whole_module_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "foreign.pt")
    assert "holds an object of torch.nn.modules.linear.Linear" in refused(read_foreign, tmp_path / "foreign.pt", FACTS)


@pytest.mark.parametrize("data", [[1, 2], {}, {1: torch.zeros(2)}, torch.zeros(3), "text"])
def test_data_that_is_no_state_dict_is_refused(tmp_path, data):
    torch.save(data, tmp_path / "foreign.pt")
    assert "holds no state dict" in refused(read_foreign, tmp_path / "foreign.pt", FACTS)
    assert "is no network of repsim" in refused(load, tmp_path / "foreign.pt")


def test_a_box_that_holds_itself_is_refused(tmp_path):
    box: dict[str, object] = {}
    box["model"] = box
    torch.save(box, tmp_path / "foreign.pt")
    assert "its parameters are not those of" in refused(read_foreign, tmp_path / "foreign.pt", FACTS)


def test_a_text_file_a_folder_and_a_missing_file_are_refused(tmp_path):
    (tmp_path / "text.pt").write_text("hello\n" * 50)
    assert "neither a PyTorch nor a safetensors file" in refused(load, tmp_path / "text.pt")
    assert "cannot be read: Is a directory" in refused(load, tmp_path)
    assert "there is no such file" in refused(load, tmp_path / "missing.pt")


def test_another_width_names_both_shapes(tmp_path):
    torch.save(a_state(), tmp_path / "foreign.pt")
    message = refused(read_foreign, tmp_path / "foreign.pt", Facts("mcnn", 8, 10, 3, 8))
    assert "conv1.weight is (4, 3, 3, 3), but (8, 3, 3, 3) in mcnn of width 8" in message


def test_another_architecture_names_missing_and_extra_parameters(tmp_path):
    torch.save(a_state(), tmp_path / "foreign.pt")
    message = refused(read_foreign, tmp_path / "foreign.pt", Facts("tiny10", None, 10, 3, 32))
    assert "lacks 32 (" in message and "bn5.bias" in message
    torch.save(a_state() | {"head.weight": torch.zeros(1)}, tmp_path / "foreign.pt")
    assert "has besides 1 (head.weight)" in refused(read_foreign, tmp_path / "foreign.pt", FACTS)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, bad):
    network = a_network()
    network.body.get_submodule("bn2").running_var[1] = bad
    torch.save(network.body.state_dict(), tmp_path / "foreign.pt")
    assert "bn2.running_var is not finite" in refused(read_foreign, tmp_path / "foreign.pt", FACTS)
    save(network, tmp_path / "own.pt", {})
    assert "bn2.running_var is not finite" in refused(load, tmp_path / "own.pt")


def test_variances_below_0_are_refused_as_they_give_no_numbers(tmp_path):
    torch.save(a_state() | {"bn2.running_var": -torch.ones(8)}, tmp_path / "foreign.pt")
    assert "bn2.running_var has variances below 0" in refused(read_foreign, tmp_path / "foreign.pt", FACTS)


def test_double_weights_too_large_for_our_type_are_refused(tmp_path):
    torch.save(a_state() | {"fc.bias": torch.full((10,), 1e300, dtype=torch.float64)}, tmp_path / "foreign.pt")
    assert "fc.bias is not finite" in refused(read_foreign, tmp_path / "foreign.pt", FACTS)


@pytest.mark.parametrize("value", ["text", torch.zeros(10, device="meta"), torch.zeros(10).to_sparse(), torch.zeros(10) * 1j])
def test_a_weight_that_is_no_plain_tensor_is_refused(tmp_path, value):
    torch.save(a_state() | {"fc.bias": value}, tmp_path / "foreign.pt")
    assert "fc.bias is no plain tensor" in refused(read_foreign, tmp_path / "foreign.pt", FACTS)


@pytest.mark.parametrize(
    "change", [{"facts": {"arch": "mcnn"}}, {"facts": 3}, {"mean": "grey"}, {"std": [0.0, 1.0, 1.0]}, {"facts": {}}]
)
def test_a_network_file_with_unfit_parts_is_refused(tmp_path, change):
    path = tmp_path / "network.pt"
    save(a_network(), path, {})
    torch.save(torch.load(io.BytesIO(path.read_bytes()), weights_only=True) | change, path)
    assert "describes no network" in refused(load, path)

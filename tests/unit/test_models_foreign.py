"""Weights under the names, in the wrappers and in the file formats of others come in; what only looks like them does not."""

import json
import pickle
import re
import tarfile
from collections import OrderedDict
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from repsim.errors import InputError
from repsim.models import foreign
from repsim.models.checkpoint import Foreign, read_foreign
from repsim.models.network import Facts
from repsim.models.zoo import build

FACTS = Facts("mcnn", 4, 10, 3, 8)


def state_of(facts: Facts) -> OrderedDict[str, Tensor]:
    """Weights that no two parameters share."""
    return OrderedDict(build(facts, generator=torch.Generator().manual_seed(5)).body.state_dict())


def read(path: Path, state, facts: Facts = FACTS) -> Foreign:
    torch.save(state, path / "file.pt")
    return read_foreign(path / "file.pt", facts)


def same(found: Foreign, state) -> bool:
    return list(found.state) == list(state) and all(torch.equal(found.state[key], state[key]) for key in state)


def theirs(state, *renames: tuple[str, str]) -> OrderedDict[str, Tensor]:
    """`state` under names made by regular expressions, written here apart from those of the table."""
    found = OrderedDict()
    for key, value in state.items():
        for pattern, name in renames:
            key = re.sub(pattern, name, key)
        found[key] = value
    return found


class BasicBlock(nn.Module):
    """The names of kuangliu/pytorch-cifar; with `option="A"` no parameters in the shortcut."""

    def __init__(self, before: int, after: int, stride: int, option: str = "B"):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential()
        if option == "B" and (stride != 1 or before != after):
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.shortcut(x))


class ResNet18(nn.Module):
    """conv1, bn1, layer1 … layer4, linear."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)
        widths = (64, 64, 128, 256, 512)
        for i in range(1, 5):
            blocks = BasicBlock(widths[i - 1], widths[i], 1 if i == 1 else 2), BasicBlock(widths[i], widths[i], 1)
            setattr(self, f"layer{i}", nn.Sequential(*blocks))
        self.linear = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        return self.linear(x.mean((2, 3)))


def test_a_resnet18_of_pytorch_cifar_computes_here_what_it_computes_there(tmp_path):
    torch.manual_seed(1)
    original, facts = ResNet18().eval(), Facts("resnet18", None, 10, 3, 32)
    found = read(tmp_path, original.state_dict(), facts)
    network = build(facts)
    network.body.load_state_dict(found.state)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert found.names == "pytorch-cifar"
    assert torch.allclose(network.eval()(x), original(x), atol=1e-5)


def test_a_sequence_of_modelsym_computes_here_what_it_computes_there(tmp_path):
    torch.manual_seed(2)
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(((3, 4), (4, 8), (8, 16), (16, 32))):
        layers += [nn.Conv2d(before, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if i else []
    original = nn.Sequential(*layers, nn.MaxPool2d(4), nn.Flatten(), nn.Linear(32, 10)).eval()
    facts = Facts("mcnn", 4, 10, 3, 32)
    found = read(tmp_path, original.state_dict(), facts)
    network = build(facts)
    network.body.load_state_dict(found.state)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert found.names == "modelsym mCNN"
    assert torch.allclose(network.eval()(x), original(x), atol=1e-6)


WRN = ((r"^bn\.", "bn1."), (r"^layer(\d)\.(\d+)\.", r"block\1.layer.\2."), (r"downsample", "convShortcut"))
NAMES = {
    "resnet20": ("pytorch-cifar", ((r"^fc\.", "linear."),)),
    "resnet20_b": ("pytorch-cifar", ((r"^fc\.", "linear."), (r"downsample", "shortcut"))),
    "resnet50": ("pytorch-cifar", ((r"^fc\.", "linear."), (r"downsample", "shortcut"))),
    "preactresnet18": ("pytorch-cifar preact", ((r"^fc\.", "linear."), (r"downsample", "shortcut.0"))),
    "wide_resnet_28_10": ("TRADES", WRN),
}


@pytest.mark.parametrize("arch", NAMES)
def test_names_of_others_are_mapped_onto_ours(tmp_path, arch):
    facts = Facts(arch, 1 if arch != "resnet50" else 8, 10, 3, 32)
    state, (whose, renames) = state_of(facts), NAMES[arch]
    original = theirs(state, *renames)
    assert original.keys() != state.keys()
    found = read(tmp_path, original, facts)
    assert found.names == whose
    assert same(found, state)


def test_blocks_of_modelsym_that_stand_in_one_sequence_find_their_stages(tmp_path):
    for arch, stages, whose in (("resnet20", (3, 3, 3), "modelsym resnet20"), ("resnet18", (2, 2, 2, 2), "modelsym resnet18")):
        facts = Facts(arch, 1 if arch == "resnet20" else 8, 10, 3, 32)
        state = state_of(facts)
        order = [f"layer{s}.{b}." for s, n in enumerate(stages, start=1) for b in range(n)]
        renames = [(rf"^{re.escape(block)}", f"block_seq.{i}.") for i, block in enumerate(order)]
        found = read(tmp_path, theirs(state, *renames, (r"^fc\.", "linear."), (r"downsample", "shortcut")), facts)
        assert found.names == whose
        assert same(found, state)


def test_a_sub_block_that_is_never_called_is_left_behind(tmp_path):
    facts = Facts("wide_resnet_28_10", 1, 10, 3, 32)
    state = state_of(facts)
    original = theirs(state, *WRN)
    original |= {f"sub_{key}": value for key, value in original.items() if key.startswith("block1.")}
    assert same(read(tmp_path, original, facts), state)


def test_torchvisions_and_timms_networks_need_no_mapping(tmp_path):
    for model, facts in (
        (torchvision.models.resnet18(num_classes=10), Facts("tv_resnet18", None, 10, 3, 224)),
        (timm.create_model("resnet18", num_classes=10), Facts("tv_resnet18", None, 10, 3, 224)),
        (timm.create_model("vit_tiny_patch16_224", num_classes=10), Facts("vit_tiny_16", None, 10, 3, 224)),
    ):
        found = read(tmp_path, model.state_dict(), facts)
        assert found.names is None
        assert same(found, model.state_dict())


def test_the_auxiliary_heads_of_a_googlenet_are_left_behind(tmp_path):
    model = torchvision.models.googlenet(num_classes=10, aux_logits=True, init_weights=False)
    found = read(tmp_path, model.state_dict(), Facts("inception_v1", None, 10, 3, 64))
    assert found.names == "torchvision googlenet"
    assert same(found, {key: value for key, value in model.state_dict().items() if not key.startswith("aux")})


def test_two_names_never_become_one(tmp_path):
    """A file with a head under each name: which one counts cannot be told."""
    state = state_of(Facts("resnet20", 1, 10, 3, 32))
    both = state | {"linear.weight": state["fc.weight"] + 1, "linear.bias": state["fc.bias"]}
    with pytest.raises(InputError, match=r"has besides 2 \(linear\.bias, linear\.weight\)"):
        read(tmp_path, both, Facts("resnet20", 1, 10, 3, 32))


def test_names_that_fit_nothing_are_left_as_they_are():
    assert foreign.renamed({"a": 1, "b": 2}, ["c"]) == (None, {"a": 1, "b": 2})


def test_the_error_names_missing_and_extra_parameters_as_they_stand_in_the_file(tmp_path):
    original = theirs(state_of(Facts("resnet20", 1, 10, 3, 32)), (r"^fc\.", "linear."))
    with pytest.raises(InputError) as caught:
        read(tmp_path, original, Facts("resnet32", 1, 10, 3, 32))
    assert "its parameters are not those of resnet32" in caught.value.what
    assert "has besides 2 (linear.bias, linear.weight)" in caught.value.what


# What is wrapped around the weights


def normaliser(prefix: str, mean: str = "new_mean", std: str = "new_std") -> dict[str, Tensor]:
    return {f"{prefix}{mean}": torch.tensor([0.5, 0.25, 0.5])[:, None, None], f"{prefix}{std}": torch.full((3, 1, 1), 0.25)}


def test_a_checkpoint_of_the_robustness_library_gives_up_its_wrappers_and_tells_its_normalisation(tmp_path):
    state = state_of(FACTS)
    outer = OrderedDict(normaliser("module.normalizer."))
    outer |= {f"module.model.{key}": value for key, value in state.items()}
    outer |= normaliser("module.attacker.normalize.")
    outer |= {f"module.attacker.model.{key}": value for key, value in state.items()}
    found = read(tmp_path, {"model": outer, "epoch": 3, "optimizer": {"state": {}}})
    assert same(found, state)
    assert (found.prefix, found.mean, found.std) == ("module.model.", (0.5, 0.25, 0.5), (0.25, 0.25, 0.25))


def test_a_second_copy_that_differs_is_not_dropped(tmp_path):
    state = state_of(FACTS)
    outer = {f"model.{key}": value for key, value in state.items()}
    outer |= {f"attacker.model.{key}": value + (key == "fc.bias") for key, value in state.items()}
    with pytest.raises(InputError, match=r"has besides 52 \(attacker\.model\."):
        read(tmp_path, outer)


@pytest.mark.parametrize(
    ("before", "names"), [("0.", ("mean", "std")), ("normalize.", ("mean", "std")), ("", ("mu", "sigma")), ("", ("mean", "std"))]
)
def test_a_normaliser_before_the_network_is_read_and_left_behind(tmp_path, before, names):
    inner = {"0.": "1.", "normalize.": "model.", "": "body."}[before]
    state = state_of(FACTS)
    found = read(tmp_path, normaliser(before, *names) | {f"{inner}{key}": value for key, value in state.items()})
    assert same(found, state)
    assert (found.prefix, found.mean) == (inner, (0.5, 0.25, 0.5))


def test_the_file_of_one_of_our_networks_is_read_like_any_other(tmp_path):
    network = build(FACTS, (0.5, 0.25, 0.5), (0.25, 0.25, 0.25))
    found = read(tmp_path, network.state_dict())
    assert same(found, network.body.state_dict())
    assert found.mean == (0.5, 0.25, 0.5)


def test_counters_of_averaging_and_of_profilers_are_left_behind(tmp_path):
    state = state_of(FACTS)
    outer = {"n_averaged": torch.tensor(7), **{f"module.{key}": value for key, value in state.items()}}
    outer |= {f"module.{name}total_ops": torch.zeros(1) for name in ("", "conv1.", "fc.")}
    assert same(read(tmp_path, outer), state)


@pytest.mark.parametrize("container", ["state_dict", "model", "net", "model_state_dict"])
def test_weights_inside_a_training_checkpoint_are_found(tmp_path, container):
    state = state_of(FACTS)
    assert same(read(tmp_path, {"acc": 0.9, container: {"state_dict": state} if container == "net" else state}), state)


# File formats


def test_safetensors_are_told_by_their_content_whatever_the_file_is_called(tmp_path):
    state = state_of(FACTS)
    for name in ("file.safetensors", "file.pt"):
        save_file({f"module.{key}": value for key, value in state.items()}, tmp_path / name)
        found = read_foreign(tmp_path / name, FACTS)
        assert same(found, state)
        assert found.prefix == "module."


def test_half_precision_weights_come_in_as_the_numbers_they_are(tmp_path):
    state = {key: value.half() if value.is_floating_point() else value for key, value in state_of(FACTS).items()}
    save_file(state, tmp_path / "half.safetensors")
    found = read_foreign(tmp_path / "half.safetensors", FACTS).state
    assert found["fc.weight"].dtype == torch.float32
    assert torch.equal(found["fc.weight"], state["fc.weight"].float())


def test_damaged_safetensors_are_refused(tmp_path):
    path = tmp_path / "file.safetensors"
    save_file(state_of(FACTS), path)
    whole = path.read_bytes()
    header = int.from_bytes(whole[:8], "little")
    broken = [whole[:-1], whole[: 8 + header], whole[: header // 2], whole[:20], whole[:8], whole + b"x", b"\xff" * 8 + whole[8:]]
    broken.append(whole[:9] + b"}" + whole[10:])
    table = json.loads(whole[8 : 8 + header])
    table["fc.bias"]["data_offsets"][1] += 10**9
    text = json.dumps(table).encode()
    broken.append(len(text).to_bytes(8, "little") + text + whole[8 + header :])
    for number, content in enumerate(broken):
        path.write_bytes(content)
        with pytest.raises(InputError, match="damaged") as caught:
            read_foreign(path, FACTS)
        assert caught.value.where == str(path), number
        assert caught.value.do, number


class Code:
    """Unpickled by an ordinary reader, this makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_files_of_the_tar_format_and_programs_are_refused_and_nothing_in_them_is_run(tmp_path):
    trap, path = tmp_path / "trap", tmp_path / "file.pt"
    for name in ("sys_info", "pickle", "tensors", "storages"):
        (tmp_path / name).write_bytes(pickle.dumps(Code(trap)))
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            archive.add(tmp_path / name, name)
    with pytest.raises(InputError, match="a tar archive"):
        read_foreign(path, FACTS)
    assert not trap.exists()
    pickle.loads((tmp_path / "pickle").read_bytes())
    assert trap.exists()


@pytest.mark.filterwarnings("ignore")
def test_a_torchscript_program_is_refused_as_one(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "file.pt")
    with pytest.raises(InputError, match="is a program"):
        read_foreign(tmp_path / "file.pt", FACTS)


@pytest.mark.parametrize("classes", [9, 100])
def test_another_number_of_classes_is_refused_with_both_shapes(tmp_path, classes):
    state = state_of(Facts("mcnn", 4, classes, 3, 8))
    with pytest.raises(InputError, match=rf"fc\.weight is \({classes}, 32\), but \(10, 32\) in mcnn"):
        read(tmp_path, state)

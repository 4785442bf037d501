"""Architectures have the published shapes and parameter counts, and weights come from the given generator only."""

import json
import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from cut_networks import smallest

from repsim.errors import InputError
from repsim.job import NetworkFacts
from repsim.models.__main__ import main
from repsim.models.layers import describe
from repsim.models.network import Facts
from repsim.models.recipes import Recipe
from repsim.models.resnet import PadShortcut
from repsim.models.training import evaluate, train
from repsim.models.zoo import ARCHITECTURES, build, skeleton

CIFAR = {arch: Facts(arch, None, 10, 3, 32) for arch in ("tiny10", "mcnn", "resnet20", "resnet20_b", "vit_tiny")}


def parameters(facts: Facts) -> int:
    return sum(p.numel() for p in skeleton(facts).parameters())


def test_projections_add_two_convolutions_and_two_batchnorms_to_resnet20():
    assert parameters(CIFAR["resnet20_b"]) == 269_722 + (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)


def test_tiny10_and_mcnn_have_the_parameters_counted_by_hand():
    ins, outs, areas = (3, 16, 16, 32, 32, 32, 64, 64), (16, 16, 32, 32, 32, 64, 64, 64), (9,) * 7 + (1,)
    tiny = sum(i * o * a + 3 * o for i, o, a in zip(ins, outs, areas, strict=True)) + 650
    assert parameters(CIFAR["tiny10"]) == tiny
    mcnn = 9 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 2 * (64 + 128 + 256 + 512) + 5130
    assert parameters(CIFAR["mcnn"]) == mcnn


@pytest.mark.parametrize("width", [1, 2, 5])
def test_the_width_of_resnet20_multiplies_every_channel(width):
    shapes = {layer.name: layer.shape for layer in describe(Facts("resnet20", width, 7, 1, 8))}
    assert shapes["layer1"] == (16 * width, 8, 8) and shapes["layer3"] == (64 * width, 2, 2) and shapes["fc"] == (7,)


@pytest.mark.parametrize("width", [1, 3])
def test_the_transformer_has_the_parameters_counted_by_hand(width):
    d, blocks = 64 * width, 12
    embedding = (3 * 4 * 4 + 1) * d + d + (8 * 8 + 1) * d  # patches, class token, positions
    block = 2 * 2 * d + (d + 1) * 3 * d + (d + 1) * d + (d + 1) * 4 * d + (4 * d + 1) * d
    assert parameters(Facts("vit_tiny", width, 10, 3, 32)) == embedding + blocks * block + 2 * d + (d + 1) * 10
    assert width != 3 or parameters(CIFAR["vit_tiny"]) == 5_362_762


def test_the_layers_of_the_transformer_are_tokens_by_channels():
    shapes = {layer.name: layer.shape for layer in describe(Facts("vit_tiny", 2, 7, 1, 16))}
    assert shapes["patch_embed.proj"] == (128, 4, 4) and shapes["patch_embed"] == (16, 128)
    assert shapes["blocks.0"] == shapes["blocks.11.mlp"] == shapes["norm"] == (17, 128)
    assert shapes["blocks.3.attn.qkv"] == (17, 384) and shapes["head"] == (7,)


def test_the_transformer_answers_as_its_plain_definition():
    """Dosovitskiy et al. (2021), equations 1 to 4: pre-norm blocks on a class token and patches, row by row."""
    facts = Facts("vit_tiny", 2, 5, 3, 8)
    body = build(facts, generator=torch.Generator().manual_seed(1)).eval().body
    s, x = dict(body.named_parameters()), torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    patches = torch.stack([x[:, :, i : i + 4, j : j + 4].flatten(1) for i in (0, 4) for j in (0, 4)], 1)
    y = patches @ s["patch_embed.proj.weight"].flatten(1).T + s["patch_embed.proj.bias"]
    y = torch.cat([s["cls_token"].expand(3, -1, -1), y], 1) + s["pos_embed"]

    def norm(y, name):
        return F.layer_norm(y, (128,), s[f"{name}.weight"], s[f"{name}.bias"], 1e-6)

    def linear(y, name):
        return F.linear(y, s[f"{name}.weight"], s[f"{name}.bias"])

    for block in (f"blocks.{i}" for i in range(12)):
        q, k, v = linear(norm(y, f"{block}.norm1"), f"{block}.attn.qkv").unflatten(2, (3, 2, 64)).permute(2, 0, 3, 1, 4)
        attention = torch.softmax(q @ k.mT / 8, -1) @ v
        y = y + linear(attention.transpose(1, 2).flatten(2), f"{block}.attn.proj")
        y = y + linear(F.gelu(linear(norm(y, f"{block}.norm2"), f"{block}.mlp.fc1")), f"{block}.mlp.fc2")
    assert torch.allclose(body(x), linear(norm(y, "norm")[:, 0], "head"), atol=1e-5)


def test_the_transformer_starts_as_timm_starts_it():
    body = build(CIFAR["vit_tiny"], generator=torch.Generator().manual_seed(0)).body
    state = dict(body.named_parameters())
    for name in ("blocks.0.attn.qkv.weight", "blocks.11.mlp.fc1.weight", "pos_embed"):
        assert state[name].std().item() == pytest.approx(0.02, rel=0.03), name
    assert state["cls_token"].abs().max() < 1e-5 and state["cls_token"].abs().min() > 0
    assert not state["blocks.0.attn.qkv.bias"].any() and not state["head.bias"].any()
    assert (state["norm.weight"] == 1).all() and not state["norm.bias"].any()
    assert state["patch_embed.proj.weight"].std().item() == pytest.approx(1 / math.sqrt(3 * 48), rel=0.03)


def test_the_transformer_learns_to_tell_stripes_from_lines():
    network = build(Facts("vit_tiny", 1, 2, 1, 8), generator=torch.Generator().manual_seed(0))
    stripes, y = torch.arange(8) % 2, torch.arange(2).repeat(16)
    textures = torch.stack([stripes.expand(8, 8), stripes[:, None].expand(8, 8)]).float()
    x = (0.7 * textures[y] + 0.3 * torch.rand(32, 8, 8, generator=torch.Generator().manual_seed(1))).unsqueeze(1)
    recipe = Recipe(8, 32, "adam", 3e-4, 0.0, "one_cycle", "none")
    before = evaluate(network, [(x, y)]).loss
    curve = train(network, lambda *_: iter([(x, y, y)]), recipe, torch.Generator().manual_seed(2), steps_per_epoch=1)
    score = evaluate(network, [(x, y)])
    assert not curve.diverged and score.accuracy == 1.0 and score.loss < 0.5 * before


def test_layers_are_described_with_kind_shape_and_carried_values():
    layers = {layer.name: layer for layer in describe(CIFAR["tiny10"])}
    assert [layers[f"relu{i}"].shape[1] for i in range(1, 9)] == [30, 28, 13, 11, 9, 4, 2, 2]
    assert (layers["bn2"].kind, layers["bn2"].parameters, layers["bn2"].carries) == ("BatchNorm2d", 32, 0)
    blocks = {layer.name: layer for layer in describe(CIFAR["resnet20"])}
    assert (blocks["layer2.0"].kind, blocks["layer2.0"].shape) == ("block", (32, 16, 16))
    assert (blocks["layer2.0.relu1"].kind, blocks["layer2.0.relu1"].carries) == ("ReLU", 1)
    assert {name for name, block in blocks.items() if "layer2.0.downsample" in block.beside} == {
        f"layer2.0.{part}" for part in ("conv1", "bn1", "relu1", "conv2", "bn2")
    }
    assert all(not layer.beside for layer in layers.values())


def test_the_last_pool_of_mcnn_is_the_4x4_maximum_of_the_paper():
    network = build(Facts("mcnn", 4, 10, 3, 32), generator=torch.Generator().manual_seed(1)).eval()
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    y = x
    for i in range(1, 5):
        y = F.relu(F.conv2d(y, network.body.get_submodule(f"conv{i}").weight, padding=1) / math.sqrt(1 + 1e-5))
        y = y if i == 1 else F.max_pool2d(y, 2)
    expected = F.linear(F.max_pool2d(y, 4).flatten(1), network.body.fc.weight, network.body.fc.bias)
    assert torch.allclose(network(x), expected, atol=1e-5)


def test_the_padded_shortcut_takes_every_second_pixel_and_adds_silent_channels():
    x = torch.arange(2 * 2 * 4 * 4.0).reshape(2, 2, 4, 4) + 1
    y = PadShortcut(2, 4, 2)(x)
    assert torch.equal(y[:, 1:3], x[:, :, ::2, ::2]) and not y[:, 0].any() and not y[:, 3].any()


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_equal_seeds_give_equal_weights_and_the_global_generator_rests(arch):
    state = torch.get_rng_state()
    first, again, other = (build(smallest(arch), generator=torch.Generator().manual_seed(seed)).state_dict() for seed in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, again[key]) and value.isfinite().all() for key, value in first.items())
    drawn = [key for key, value in first.items() if value.ndim > 1 and key.startswith("body")]
    assert drawn and not any(torch.equal(first[key], other[key]) for key in drawn)


@pytest.mark.parametrize(
    ("arch", "std"), [("tiny10", (3 * 32 * 9) ** -0.5), ("resnet20", (2 / 288) ** 0.5), ("resnet20_b", (2 / 288) ** 0.5)]
)
def test_first_weights_have_the_spread_of_their_rule(arch, std):
    """PyTorch: U(±1/√fan_in), so std 1/√(3 fan_in); He: √(2/fan)."""
    network = build(CIFAR[arch], generator=torch.Generator().manual_seed(0))
    weight = network.body.get_submodule("conv4" if arch == "tiny10" else "layer2.0.conv2").weight
    assert weight.shape[:2] == (32, 32)
    assert weight.std().item() == pytest.approx(std, rel=0.03)
    assert abs(weight.mean().item()) < 4 * std / math.sqrt(weight.numel())


def test_a_network_normalises_its_input_per_channel():
    network = build(Facts("mcnn", 2, 10, 3, 8), mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    x = torch.tensor([0.6, 0.7, 0.8]).reshape(1, 3, 1, 1).expand(1, 3, 8, 8)
    expected = torch.tensor([1.0, 0.5, 0.25]).reshape(1, 3, 1, 1).expand(1, 3, 8, 8)
    assert torch.allclose(network.normalise(x), expected)
    assert torch.equal(network.eval()(x), network.body(network.normalise(x)))


def test_facts_of_the_job_contract_are_enough_to_build():
    network = build(NetworkFacts("mcnn", 2, 10, 1, 8))
    assert network.facts == Facts("mcnn", 2, 10, 1, 8)
    assert network.eval()(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize(
    ("facts", "what", "do"),
    [
        (Facts("mcn", None, 10, 3, 32), "no architecture 'mcn'", "mcnn"),
        (Facts("inception_v1", 2, 10, 3, 32), "inception_v1: has one width only", "leave width out"),
        (Facts("mcnn", None, 10, 3, 32, 2), "mcnn: has one depth only", "leave depth out"),
        (Facts("allcnn_v1", None, 10, 3, 32, 17), "allcnn_v1: cannot have depth 17", "depth is n, of 7n + 2 convolutions: 1 to 16"),
        (Facts("vit_tiny", None, 10, 3, 32, True), "vit_tiny: cannot have depth True", "depth is blocks: 1 to 24"),
        (Facts("tiny10", None, 10, 3, 8), "8 pixels are too small", "27 pixels or more; these take 8: dense, mcnn, mcnn_nobn"),
        (Facts("vit_tiny", None, 10, 3, 30), "images of 30 pixels do not fit it", "multiples of 4 pixels"),
        (Facts("resnet20", 64, 10, 3, 32), "cannot have width 64", "multiplier"),
        (Facts("mcnn", 0, 10, 3, 32), "cannot have width 0", "1 to 512"),
        (Facts("mcnn", True, 10, 3, 32), "cannot have width True", "1 to 512"),
        (Facts("mcnn", None, 0, 3, 32), "classes must be a positive whole number, not 0", None),
    ],
)
def test_facts_that_no_network_can_have_are_refused(facts, what, do):
    with pytest.raises(InputError) as caught:
        build(facts)
    assert what in str(caught.value) and (do or "") in (caught.value.do or "")


@pytest.mark.parametrize(("mean", "std"), [([0.5], None), (None, [0.2, 0.2, 0.0]), ([math.nan] * 3, None)])
def test_an_unfit_normalisation_is_refused(mean, std):
    with pytest.raises(InputError, match=r"mean|std"):
        build(CIFAR["mcnn"], mean, std)


def test_the_child_process_prints_the_layers_as_json_and_loads_no_timm_for_it():
    facts = '{"arch": "mcnn", "width": 16, "classes": 10, "channels": 3, "size": 32}'
    command = [sys.executable, "-X", "importtime", "-m", "repsim.models", facts]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "torch.fx" in done.stderr and "timm" not in done.stderr
    layers = json.loads(done.stdout)
    assert layers[2] == {"name": "relu1", "kind": "ReLU", "shape": [16, 32, 32], "parameters": 0, "carries": 0, "beside": []}
    assert [layer["name"] for layer in layers][-3:] == ["pool", "flatten", "fc"]


@pytest.mark.parametrize(
    ("argument", "what"),
    [
        ('{"arch": "mcnnn", "classes": 10, "channels": 3, "size": 32}', "there is no architecture 'mcnnn'"),
        ('{"arch": "mcnn", "classes": 10, "channels": 3, "sise": 32}', "unknown key 'sise'"),
        ('{"arch": "mcnn", "classes": 10}', "lacks channels, size"),
        ('{"arch": ["mcnn"], "classes": 10, "channels": 3, "size": 32}', "arch must be a name"),
        ("[]", "the argument is not a JSON object"),
        ("mcnn", "the argument is not JSON"),
    ],
)
def test_the_child_process_prints_what_is_wrong_and_exits_with_2(argument, what, capsys):
    assert main([argument]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert what in error["what"] and error.keys() == {"what", "where", "do"} and error["do"]

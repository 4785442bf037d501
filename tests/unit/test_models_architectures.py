"""Every architecture has its published size, learns, and is what its library or its plain definition says that it is."""

import math
from itertools import pairwise

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from cut_networks import SMALL, network_of, smallest
from torch import Tensor, nn

from repsim.models.cct import DropPath
from repsim.models.cut import cuts
from repsim.models.layers import describe
from repsim.models.listing import tell
from repsim.models.network import Facts, Network
from repsim.models.zoo import ARCHITECTURES, build, native, outline, skeleton

TORCHVISION = {arch: arch.removeprefix("tv_") for arch in ARCHITECTURES if arch.startswith("tv_")} | {"inception_v1": "googlenet"}
TIMM = {f"vit_{size}_16": f"vit_{size}_patch16_224" for size in ("tiny", "small", "base")}


def parameters(body: nn.Module) -> int:
    return sum(p.numel() for p in body.parameters())


def images(facts: Facts, n: int = 3) -> Tensor:
    return torch.rand(n, facts.channels, facts.size, facts.size, generator=torch.Generator().manual_seed(2))


def named(network: Network) -> dict[str, Tensor]:
    """The weights and statistics by name."""
    return dict(network.body.state_dict())


def bn(x: Tensor, s: dict, name: str) -> Tensor:
    return F.batch_norm(x, s[f"{name}.running_mean"], s[f"{name}.running_var"], s[f"{name}.weight"], s[f"{name}.bias"])


def linear(x: Tensor, s: dict, name: str) -> Tensor:
    return F.linear(x, s[f"{name}.weight"], s.get(f"{name}.bias"))


def conv(x: Tensor, s: dict, name: str, **how: int) -> Tensor:
    return F.conv2d(x, s[f"{name}.weight"], s.get(f"{name}.bias"), **how)


@pytest.mark.parametrize("arch", [arch for arch, one in ARCHITECTURES.items() if one.published])
def test_an_architecture_has_the_published_number_of_parameters(arch):
    one = ARCHITECTURES[arch]
    assert one.published and round(parameters(skeleton(native(arch))) / one.rounded) * one.rounded == one.published
    said = f"{one.published:,}" if one.rounded == 1 else f"{one.published / 1e6:.2f} M (rounded)"
    assert one.source.endswith(said)


@pytest.mark.parametrize(("depth", "count"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018)])
def test_small_resnets_have_the_parameters_counted_by_hand(depth, count):
    n = (depth - 2) // 6
    stages = sum(c * c * 9 * 2 * n - (c * c * 9 // 2 if c > 16 else 0) + 4 * n * c for c in (16, 32, 64))
    assert parameters(skeleton(Facts(f"resnet{depth}", None, 10, 3, 32))) == stages + 27 * 16 + 32 + 650 == count


def test_norms_take_the_place_of_the_biases_of_all_cnn_c():
    """1,369,738 is the published network with biases; each of 96·3 + 192·5 + 10 of them becomes two numbers of a norm."""
    assert parameters(skeleton(native("allcnn_v1"))) == 1_369_738 + (96 * 3 + 192 * 5 + 10)


@pytest.mark.parametrize(("arch", "factors", "bias"), [("mcnn_nobn", (1, 2, 4, 8), True), ("cwcnn", (8, 8, 8, 8), False)])
def test_the_kin_of_mcnn_have_the_parameters_counted_by_hand(arch, factors, bias):
    channels = [3, *(64 * factor for factor in factors)]
    weights = sum(9 * before * after for before, after in pairwise(channels))
    rest = sum(channels[1:]) * (1 if bias else 2) + 10 * (channels[-1] + 1)
    assert parameters(skeleton(native(arch))) == weights + rest


@pytest.mark.parametrize("arch", TORCHVISION)
def test_torchvision_documents_this_count_and_its_state_dict_has_these_shapes(arch):
    name = TORCHVISION[arch]
    assert ARCHITECTURES[arch].published == torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].meta["num_params"]
    with torch.device("meta"):
        more = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
        theirs = torchvision.models.get_model(name, **more).state_dict()
    ours = skeleton(native(arch)).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in theirs.items()}


@pytest.mark.parametrize("arch", TIMM)
def test_the_state_dict_of_timm_has_these_shapes(arch):
    with torch.device("meta"):
        theirs = timm.create_model(TIMM[arch])
    ours = skeleton(native(arch))
    assert parameters(ours) == parameters(theirs) == ARCHITECTURES[arch].published
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}


def test_networks_of_torchvision_compute_here_what_they_compute_there():
    torch_models = torchvision.models
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = {
            "tv_resnet18": torch_models.resnet18(num_classes=7),
            "tv_resnet50": torch_models.resnet50(num_classes=7),
            "inception_v1": torch_models.googlenet(num_classes=7, aux_logits=False, init_weights=False),
        }
    for arch, model in theirs.items():
        facts = Facts(arch, None, 7, 3, 64)
        network = build(facts).eval()
        network.body.load_state_dict(model.state_dict())
        assert torch.equal(network(images(facts)), model.eval()(images(facts))), arch


@pytest.mark.parametrize("norm", [False, True])
def test_vgg_of_torchvision_computes_here_what_it_computes_there(norm):
    facts = Facts("tv_vgg11_bn" if norm else "tv_vgg11", None, 7, 3, 32)
    features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["A"], batch_norm=norm)
    network, x = network_of(facts, seed=1), images(facts)
    with torch.device("meta"):
        theirs = torchvision.models.VGG(features, num_classes=7, init_weights=False)
    theirs.load_state_dict(named(network), assign=True)
    assert torch.equal(network.body(x), theirs.eval()(x))


@pytest.mark.parametrize("depth", [18, 50])
def test_a_resnet_for_small_images_is_that_of_torchvision_with_another_stem(depth):
    facts = Facts(f"resnet{depth}", None, 7, 1, 16)
    network, theirs = network_of(facts), torchvision.models.get_model(f"resnet{depth}", num_classes=7)
    theirs.conv1, theirs.maxpool = nn.Conv2d(1, 64, 3, padding=1, bias=False), nn.Identity()
    theirs.load_state_dict(named(network))
    assert torch.equal(network.body(images(facts)), theirs.eval()(images(facts)))


def test_a_transformer_of_timm_computes_here_what_it_computes_there():
    facts = Facts("vit_tiny_16", None, 7, 3, 32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=7).eval()
    network = build(facts).eval()
    network.body.load_state_dict(theirs.state_dict())
    assert torch.equal(network(images(facts)), theirs(images(facts)))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_passes_forward_and_back_at_its_smallest(arch):
    facts = smallest(arch)
    network = build(facts)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        logits = network(images(facts, 2))
    assert logits.shape == (2, 3) and logits.isfinite().all()
    F.cross_entropy(logits, torch.tensor([0, 2])).backward()
    gradients = {name: p.grad for name, p in network.named_parameters()}
    assert all(grad is not None and grad.isfinite().all() for grad in gradients.values()), arch


@pytest.mark.parametrize("arch", SMALL)
def test_a_gradient_that_is_not_zero_reaches_every_weight(arch):
    network = network_of(arch)
    F.cross_entropy(network(images(network.facts, 8)), torch.arange(8) % network.facts.classes).backward()
    silent = [name for name, p in network.named_parameters() if p.ndim > 1 and not (p.grad is not None and p.grad.any())]
    assert not silent


@pytest.mark.parametrize("arch", SMALL)
def test_the_parameters_of_all_layers_and_of_the_body_itself_sum_up_to_those_of_the_network(arch):
    body = skeleton(SMALL[arch])
    own = sum(parameter.numel() for parameter in body.parameters(recurse=False))
    assert sum(layer.parameters for layer in describe(SMALL[arch])) + own == parameters(body)
    assert bool(own) == (arch.startswith("vit"))


@pytest.mark.parametrize("arch", ["dense", "allcnn_v2", "resnet32_b", "preactresnet18", "inception_v1", "cct_7_3x1"])
def test_an_architecture_is_listed_with_the_layers_that_it_can_be_cut_at(arch):
    found = tell(arch)
    assert found.layers == len(describe(native(arch))) and found.parameters == parameters(skeleton(native(arch)))


def test_the_outline_of_a_network_takes_no_memory():
    assert {value.device.type for value in outline(native("tv_vgg19")).state_dict().values()} == {"meta"}


@pytest.mark.parametrize("arch", [arch for arch, one in ARCHITECTURES.items() if one.width])
def test_a_wider_network_has_more_parameters_and_a_deeper_one_too(arch):
    one, small = ARCHITECTURES[arch], smallest(arch)
    for field, choice in (("width", one.width), ("depth", one.depth)):
        if choice:
            more = Facts(**(vars(small) | {field: choice.numbers.start + 1}))
            assert parameters(skeleton(more)) > parameters(skeleton(small)), field


@pytest.mark.parametrize("arch", [arch for arch in ARCHITECTURES if "resnet" in arch])
def test_the_sum_of_every_residual_block_is_a_layer(arch):
    places = cuts(build(smallest(arch)))
    blocks = [name for name in places.names if name.count(".") == 1 and name.startswith("layer")]
    assert "layer1.0" in blocks and all(places.carries(f"{block}.add") == 0 for block in blocks)


def test_lenet_has_the_layers_of_the_paper():
    shapes = {layer.name: layer.shape for layer in describe(native("lenet"))}
    assert shapes["pool1"] == (6, 14, 14) and shapes["pool2"] == (16, 5, 5)
    assert [shapes[name] for name in ("flatten", "fc1", "fc2", "fc3")] == [(400,), (120,), (84,), (10,)]


def test_all_cnn_c_of_depth_two_has_the_rows_of_its_table():
    layers = {layer.name: layer for layer in describe(Facts("allcnn_v1", None, 10, 3, 32, 2))}
    shapes = [layers[f"conv{i}"].shape for i in range(1, 17)]
    assert shapes[:6] == [(96, 32, 32)] * 5 + [(96, 16, 16)] and shapes[6:12] == [(192, 16, 16)] * 5 + [(192, 8, 8)]
    assert shapes[12:] == [(192, 8, 8), (192, 6, 6), (192, 6, 6), (10, 6, 6)] and layers["flatten"].shape == (10,)
    modules = dict(skeleton(Facts("allcnn_v1", None, 10, 3, 32, 2)).named_modules())
    assert [modules[f"drop{i}"].p for i in range(3)] == [0.2, 0.5, 0.5]
    assert not [m for m in skeleton(Facts("allcnn_v2", None, 10, 3, 32)).modules() if isinstance(m, nn.Dropout)]


@pytest.mark.parametrize("arch", ["preactresnet18", "wide_resnet_28_10"])
def test_a_network_that_norms_first_is_its_plain_definition(arch):
    network = network_of(arch)
    s, x = named(network), network.normalise(images(network.facts))
    y = conv(x, s, "conv1", padding=1)
    blocks = sorted({name.rsplit(".", 2)[0] for name in s if name.startswith("layer")})
    for block in blocks:
        stride = 2 if block.endswith(".0") and not block.startswith("layer1") else 1
        z = F.relu(bn(y, s, f"{block}.bn1"))
        inner = F.relu(bn(conv(z, s, f"{block}.conv1", stride=stride, padding=1), s, f"{block}.bn2"))
        skipped = conv(z, s, f"{block}.downsample", stride=stride) if f"{block}.downsample.weight" in s else y
        y = conv(inner, s, f"{block}.conv2", padding=1) + skipped
    y = F.relu(bn(y, s, "bn")).mean((2, 3))
    assert len(blocks) == (8 if arch == "preactresnet18" else 12)
    assert torch.allclose(network(images(network.facts)), linear(y, s, "fc"), atol=1e-5)


def test_the_compact_transformer_is_its_plain_definition():
    """Hassani et al. (2021), section 3: a convolutional tokenizer, and sequence pooling in place of a class token."""
    network = build(Facts("cct_7_3x2", 2, 5, 3, 8, 3), generator=torch.Generator().manual_seed(1)).eval()
    s, y = named(network), images(network.facts)
    for i in range(2):
        y = F.max_pool2d(F.relu(conv(y, s, f"tokenizer.conv_layers.{i}.0", padding=1)), 3, 2, 1)
    y = y.flatten(2).mT + s["classifier.positional_emb"]

    def norm(y, name):
        return F.layer_norm(y, (128,), s[f"{name}.weight"], s[f"{name}.bias"])

    for block in (f"classifier.blocks.{i}" for i in range(3)):
        q, k, v = linear(norm(y, f"{block}.pre_norm"), s, f"{block}.self_attn.qkv").chunk(3, -1)
        heads = [torch.softmax(q[..., h] @ k[..., h].mT / 8, -1) @ v[..., h] for h in (slice(0, 64), slice(64, 128))]
        y = norm(y + linear(torch.cat(heads, -1), s, f"{block}.self_attn.proj"), f"{block}.norm1")
        y = y + linear(F.gelu(linear(y, s, f"{block}.linear1")), s, f"{block}.linear2")
    y = norm(y, "classifier.norm")
    pooled = (torch.softmax(linear(y, s, "classifier.attention_pool"), 1) * y).sum(1)
    assert torch.allclose(network(images(network.facts)), linear(pooled, s, "classifier.fc"), atol=1e-5)


def test_the_robust_transformer_is_its_plain_definition():
    network = network_of("robust_vit")
    s, y = named(network), network.normalise(images(network.facts))
    y = F.max_pool2d(bn(conv(y, s, "patch_embed.proj.0", stride=2, padding=2), s, "patch_embed.proj.1"), 3, 2, 1)
    y = conv(y, s, "patch_embed.proj.3", stride=4)
    assert y.shape[1:] == (32, 2, 2)
    y = plain_stage(y, s, "transformers.0", 10)
    y = F.conv2d(y, s["pools.0.conv.weight"], s["pools.0.conv.bias"], stride=2, padding=1, groups=32)
    y = plain_stage(y, s, "transformers.1", 2).mean((2, 3))
    y = F.layer_norm(y, (64,), s["norm.weight"], s["norm.bias"], 1e-6)
    assert torch.allclose(network(images(network.facts)), linear(y, s, "head"), atol=1e-4)


def plain_stage(y: Tensor, s: dict, stage: str, depth: int) -> Tensor:
    """Blocks on the pixels of a map (n, d, h, w), pixel by pixel: attention, then the MLP with its depthwise convolution."""
    n, d, side, _ = y.shape
    for block in (f"{stage}.blocks.{i}" for i in range(depth)):
        t = y.permute(0, 2, 3, 1).reshape(n, side * side, d)
        z = F.layer_norm(t, (d,), s[f"{block}.norm1.weight"], s[f"{block}.norm1.bias"], 1e-6)
        q, k, v = linear(z, s, f"{block}.attn.qkv").chunk(3, -1)
        heads = [slice(h, h + 32) for h in range(0, d, 32)]
        t = t + linear(
            torch.cat([torch.softmax(q[..., h] @ k[..., h].mT / 32**0.5, -1) @ v[..., h] for h in heads], -1),
            s,
            f"{block}.attn.proj",
        )
        z = F.layer_norm(t, (d,), s[f"{block}.norm2.weight"], s[f"{block}.norm2.bias"], 1e-6)
        y, z = (map_.reshape(n, side, side, d).permute(0, 3, 1, 2) for map_ in (t, z))
        z = F.gelu(bn(conv(z, s, f"{block}.mlp.fc1"), s, f"{block}.mlp.bn1"))
        z = F.gelu(bn(conv(z, s, f"{block}.mlp.dwconv", padding=1, groups=4 * d), s, f"{block}.mlp.bn2"))
        y = y + bn(conv(z, s, f"{block}.mlp.fc2"), s, f"{block}.mlp.bn3")
    return y


def test_stochastic_depth_drops_whole_images_and_keeps_the_mean():
    layer, x = DropPath(0.25).train(), torch.ones(4000, 2, 3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        y = layer(x)
    kept = y[:, 0, 0] > 0
    assert torch.equal(y[kept], x[kept] / 0.75) and not y[~kept].any()
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.03)
    assert layer.eval()(x) is x and DropPath(0.0)(x) is x


FIRST_STD = {
    ("allcnn_v1", "conv5.weight"): (1 / (192 * 9)) ** 0.5,
    ("tv_vgg11", "features.8.weight"): (2 / (256 * 9)) ** 0.5,
    ("vgg11", "classifier.weight"): 0.01,
    ("inception_v1", "inception4a.branch2.1.conv.weight"): 0.01,
    ("wide_resnet_28_10", "layer2.0.conv1.weight"): (2 / (320 * 9)) ** 0.5,
    ("resnet18", "layer2.0.conv1.weight"): (2 / (128 * 9)) ** 0.5,
    ("preactresnet18", "layer2.0.conv2.weight"): (1 / (3 * 128 * 9)) ** 0.5,
    ("cct_7_3x1", "classifier.positional_emb"): 0.2,
    ("cct_7_3x1", "tokenizer.conv_layers.0.0.weight"): (2 / 27) ** 0.5,
    ("cct_7_3x1", "classifier.blocks.3.linear1.weight"): 0.02,
}


@pytest.mark.parametrize(("arch", "name"), FIRST_STD)
def test_first_weights_have_the_spread_of_their_published_rule(arch, name):
    body = skeleton(Facts(arch, None, 10, 3, 32))
    holder, _, last = name.rpartition(".")
    module = body.get_submodule(holder)
    ARCHITECTURES[arch].draw(module.to_empty(device="cpu", recurse=False), torch.Generator().manual_seed(0))
    weight = module.get_parameter(last).detach()
    std = FIRST_STD[arch, name]
    assert weight.std().item() == pytest.approx(std, rel=0.05) and abs(weight.mean().item()) < 5 * std / math.sqrt(weight.numel())
    assert not isinstance(module, nn.Linear) or not module.bias.any()

"""A network cut at any layer and put together again is the network, bit for bit, by its graph and by hooks."""

import copy
from collections import Counter

import pytest
import torch
from cut_networks import FORMS, SMALL, InPlace, Odd, around, called, images_for, joined, network_of, smallest
from torch import nn

from repsim.errors import InputError
from repsim.models.cut import cuts
from repsim.models.graph import GraphCuts
from repsim.models.network import Facts
from repsim.models.tracing import trace
from repsim.models.zoo import ARCHITECTURES, FAMILIES, build

both_forms = pytest.mark.parametrize("form", FORMS)
RESIDUAL_LAYERS = ("layer1.1.bn1", "layer2.0.conv2", "layer2.0.downsample.0", "layer2.0.add", "layer3")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: next(iter(family)))
def test_every_family_of_architectures_is_tested(family):
    assert SMALL.keys() & family.keys()


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_is_cut_by_its_graph_and_writes_over_nothing(arch):
    network = build(smallest(arch))
    places = cuts(network)
    assert isinstance(places, GraphCuts) and not trace(network).overwritten
    assert not [module for module in network.modules() if getattr(module, "inplace", False)]


@both_forms
@pytest.mark.parametrize("arch", SMALL)
def test_layers_of_a_twin_join_to_the_network_bit_for_bit(arch, form):
    network = network_of(arch)
    x, places, twin = images_for(network), FORMS[form](network), FORMS[form](copy.deepcopy(network))
    logits = network(x)
    assert logits.std() > 1e-3
    mine, other = places.reader(carried=places.names, logits=True)(x), twin.reader(twin.names)(x)
    assert mine.logits is not None and torch.equal(mine.logits, logits)
    with torch.no_grad():
        for layer in places.names[:: 1 + len(places.names) // 45]:
            assert torch.equal(places.suffix(layer)(other.values[layer], *mine.carried[layer]), logits), layer


@pytest.mark.parametrize("arch", [*SMALL, "in place"])
def test_a_network_is_traced_without_its_weights_as_with_them(arch):
    network = around(InPlace()) if arch == "in place" else network_of(arch)
    real, outlined = trace(network), trace(copy.deepcopy(network).to("meta"))
    assert str(real.graph) == str(outlined.graph) and real.shapes == outlined.shapes
    for mine, other in ((real.batched, outlined.batched), (real.overwritten, outlined.overwritten)):
        assert {node.name for node in mine} == {node.name for node in other}
    assert [node.name for node in real.layers.values()] == [node.name for node in outlined.layers.values()]
    assert bool(real.overwritten) == (arch == "in place")


def test_a_network_for_large_images_is_cut_bit_for_bit():
    network = network_of(Facts("tv_resnet18", 2, 3, 1, 96))
    x, places = images_for(network, 2), cuts(network)
    assert isinstance(places, GraphCuts)
    for layer in places.names[::9]:
        assert torch.equal(joined(places, layer, x), network(x)), layer


@both_forms
@pytest.mark.parametrize("arch", ["mcnn", "resnet20_b"])
def test_every_layer_joins_to_the_whole_network_in_train_mode(arch, form):
    network = network_of(arch).train()
    x, places = images_for(network), FORMS[form](network)
    logits = network(x)
    for layer in places.names[::2]:
        assert torch.equal(joined(places, layer, x), logits), layer


@pytest.mark.parametrize("arch", SMALL)
def test_graph_and_hooks_have_the_same_layers_shapes_and_values(arch):
    network = network_of(arch)
    graph, hooks = (form(network) for form in FORMS.values())
    assert graph.names == hooks.names
    assert [graph.shape(name) for name in graph.names] == [hooks.shape(name) for name in hooks.names]
    x = images_for(network)
    one, other = graph.reader(graph.names)(x), hooks.reader(hooks.names)(x)
    assert all(torch.equal(one.values[name], other.values[name]) for name in graph.names)
    assert all(one.values[name].shape[1:] == graph.shape(name) for name in graph.names)


@pytest.mark.parametrize("arch", SMALL)
def test_values_read_are_what_a_hook_on_the_module_sees(arch):
    network = network_of(arch)
    x, places, seen = images_for(network), cuts(network), {}
    for name, module in network.body.named_modules():
        module.register_forward_hook(lambda _m, _i, output, name=name: seen.__setitem__(name, output))
    network(x)
    values = places.reader(places.names)(x).values
    assert set(values) <= set(seen) and len(values) > 5
    assert all(torch.equal(value, seen[name]) for name, value in values.items())


@both_forms
@pytest.mark.parametrize(("arch", "layers"), [("resnet20_b", RESIDUAL_LAYERS), ("vit_tiny", ("blocks.1.attn", "blocks.2"))])
def test_another_value_at_the_cut_gives_what_overriding_the_layer_by_a_hook_gives(arch, layers, form):
    network = network_of(arch)
    x, places = images_for(network), FORMS[form](network)
    for layer in layers:
        other = torch.randn(4, *places.shape(layer), generator=torch.Generator().manual_seed(5))
        handle = network.body.get_submodule(layer).register_forward_hook(lambda *_, other=other: other)
        expected = network(x)
        handle.remove()
        assert torch.equal(places.suffix(layer)(other, *places.reader(carried=[layer])(x).carried[layer]), expected), layer
        assert not torch.equal(expected, network(x)), layer


@both_forms
def test_k_stitched_values_side_by_side_are_k_passes(form):
    network = network_of("resnet20")
    x, places = images_for(network), FORMS[form](network)
    carried = places.reader(carried=["layer2.1.bn1"])(x).carried["layer2.1.bn1"]
    values = torch.randn(3, 4, *places.shape("layer2.1.bn1"), generator=torch.Generator().manual_seed(5))
    suffix = places.suffix("layer2.1.bn1")
    packed = suffix(values.flatten(0, 1), *(torch.cat([tensor] * 3) for tensor in carried)).unflatten(0, (3, 4))
    assert torch.allclose(packed, torch.stack([suffix(value, *carried) for value in values]), atol=1e-5)


@pytest.mark.parametrize("arch", ["resnet20", "resnet20_b"])
def test_a_value_is_carried_inside_residual_blocks_and_none_at_their_outputs(arch):
    places = cuts(network_of(arch))
    inside = ("conv1", "bn1", "relu1", "conv2", "bn2", "downsample")
    for name in places.names:
        parts = name.split(".")
        assert places.carries(name) == int(len(parts) > 2 and parts[2] in inside), name


def test_plain_networks_carry_nothing():
    for arch in ("tiny10", "mcnn"):
        places = cuts(network_of(arch))
        assert all(places.carries(name) == 0 for name in places.names)


def test_a_transformer_carries_what_its_residual_stream_does():
    places = cuts(network_of("vit_tiny"))
    found = {name: places.carries(name) for name in places.names}
    assert found["patch_embed"] == found["blocks.0"] == found["norm"] == 0
    assert found["blocks.0.norm1"] == found["blocks.3.attn"] == found["blocks.3.mlp.fc1"] == 1


@both_forms
def test_a_reader_stops_behind_the_last_layer_needed(form):
    network = network_of("resnet20")
    places, calls = FORMS[form](network), called(network)
    places.reader(["bn1", "layer1.0.bn2"])(images_for(network))
    assert calls == Counter(["conv1", "bn1", "relu1", *(f"layer1.0.{part}" for part in ("conv1", "bn1", "relu1", "conv2", "bn2"))])


@both_forms
def test_a_reader_runs_every_module_once_for_values_carried_and_logits_together(form):
    network = network_of("resnet20_b")
    x, places, calls = images_for(network), FORMS[form](network), called(network)
    read = places.reader(["layer1", "fc", "layer2.0.bn1"], ["layer1.0.bn1", "layer3.2.bn2", "layer2"], logits=True)(x)
    assert set(calls.values()) == {1}
    assert read.logits is not None and torch.equal(read.logits, network(x)) and torch.equal(read.values["fc"], read.logits)


@both_forms
def test_a_reader_of_nothing_runs_nothing(form):
    network = network_of("resnet20")
    x, places, calls = images_for(network), FORMS[form](network), called(network)
    read = places.reader(carried=["layer1.0", "layer2"])(x)
    assert not calls and read.logits is None and not read.values
    assert [len(read.carried[layer]) for layer in ("layer1.0", "layer2")] == [places.carries("layer1.0")] * 2


def test_carried_is_read_by_one_forward_for_many_layers():
    network = network_of("resnet20")
    x, places, calls = images_for(network), cuts(network), called(network)
    found = places.reader(carried=["layer1.1.bn1", "layer1.2.bn1", "layer1"])(x).carried
    assert [len(found[name]) for name in ("layer1.1.bn1", "layer1.2.bn1", "layer1")] == [1, 1, 0]
    assert set(calls.values()) == {1} and "layer1.2.conv1" not in calls


def test_a_suffix_of_the_graph_starts_behind_the_cut_and_does_not_repeat_what_is_carried():
    network = network_of("resnet20_b")
    x, places = images_for(network), cuts(network)
    read = places.reader(["layer3.0.bn1"], ["layer3.0.bn1"])(x)
    calls = called(network)
    places.suffix("layer3.0.bn1")(read.values["layer3.0.bn1"], *read.carried["layer3.0.bn1"])
    assert set(calls.values()) == {1}
    assert {name for name in calls if name.startswith("layer3.0")} == {
        f"layer3.0.{part}" for part in ("relu1", "conv2", "bn2", "add", "relu2")
    }
    assert not [name for name in calls if name.startswith(("conv1", "layer1", "layer2"))]


@both_forms
def test_readers_form_no_graph_for_gradients_and_suffixes_do(form):
    network = network_of("resnet20")
    x, places = images_for(network), FORMS[form](network.requires_grad_(False))
    read = places.reader(["layer1.0.bn1"], ["layer1.0.bn1"], logits=True)(x)
    assert read.logits is not None and not read.logits.requires_grad
    value = read.values["layer1.0.bn1"].requires_grad_()
    places.suffix("layer1.0.bn1")(value, *read.carried["layer1.0.bn1"]).sum().backward()
    assert value.grad is not None and value.grad.abs().sum() > 0


@both_forms
def test_gradients_through_a_suffix_are_those_through_the_network(form):
    network = network_of("resnet20_b").requires_grad_(False)
    x, places, kept = images_for(network), FORMS[form](network), {}

    def keep(_module, _inputs, output):
        kept["value"] = output.detach().requires_grad_()
        return kept["value"]

    handle = network.body.get_submodule("layer2.1.bn1").register_forward_hook(keep)
    network(x)[:, 0].sum().backward()
    handle.remove()
    read = places.reader(["layer2.1.bn1"], ["layer2.1.bn1"])(x)
    value = read.values["layer2.1.bn1"].clone().requires_grad_()
    places.suffix("layer2.1.bn1")(value, *read.carried["layer2.1.bn1"])[:, 0].sum().backward()
    assert torch.equal(value.grad, kept["value"].grad)


@both_forms
def test_a_suffix_tells_the_values_of_later_layers_as_the_network_has_them(form):
    network = network_of("resnet20_b")
    x, places = images_for(network), FORMS[form](network)
    later = ["layer2.0.bn1", "layer2.0.relu1", "layer2.0", "layer3.1.conv2", "fc"]
    read = places.reader(later, ["layer2.0.bn1"], logits=True)(x)
    logits, values = places.suffix("layer2.0.bn1", also=later).trace(read.values["layer2.0.bn1"], *read.carried["layer2.0.bn1"])
    assert torch.equal(logits, read.logits) and list(values) == later
    assert all(torch.equal(values[name], read.values[name]) for name in later)


@both_forms
def test_a_suffix_tells_a_layer_that_has_the_value_of_the_cut(form):
    places = FORMS[form](network := network_of("resnet20"))
    other = torch.randn(4, *places.shape("layer1"), generator=torch.Generator().manual_seed(5))
    for cut, also in (("layer1", "layer1.2.relu2"), ("layer1.2.relu2", "layer1")):
        carried = places.reader(carried=[cut])(images_for(network)).carried[cut]
        assert torch.equal(places.suffix(cut, also=[also]).trace(other, *carried)[1][also], other)


@both_forms
@pytest.mark.parametrize("layer", ["conv1", "layer1.2.bn2", "layer2.0.downsample.0", "layer2.0.downsample"])
def test_a_layer_that_is_not_computed_from_the_cut_is_refused(layer, form):
    places = FORMS[form](network_of("resnet20_b"))
    with pytest.raises(InputError, match=rf"'{layer}' is not computed from the value of 'layer2\.0\.bn2'") as caught:
        places.suffix("layer2.0.bn2", also=["layer3", layer])
    assert "layer2.0.add" in (caught.value.do or "") or "fc" in (caught.value.do or "")


@both_forms
def test_parts_share_the_modules_of_the_network_and_follow_its_weights(form):
    network = network_of("resnet20_b")
    x, places = images_for(network), FORMS[form](network)
    reader, suffix = places.reader(["layer2.0.bn1"], ["layer2.0.bn1"]), places.suffix("layer2.0.bn1")
    own, fc = {id(parameter) for parameter in network.parameters()}, network.body.get_submodule("fc")
    assert suffix.carries == 1
    assert {id(parameter) for parameter in suffix.parameters()} < own
    network.double()
    with torch.no_grad():
        fc.weight.mul_(2)
    read = reader(x.double())
    logits = suffix(read.values["layer2.0.bn1"], *read.carried["layer2.0.bn1"])
    assert logits.dtype == torch.float64 and torch.equal(logits, network(x.double()))


@both_forms
def test_the_norms_of_a_suffix_are_those_behind_the_cut(form):
    network = network_of("resnet20_b")
    suffix = FORMS[form](network).suffix("layer3.0.bn1")
    norms = {id(module) for module in suffix.modules() if isinstance(module, nn.BatchNorm2d)}
    names = ["layer3.0.bn2", *(f"layer3.{i}.bn{j}" for i in (1, 2) for j in (1, 2))]
    wanted = {id(network.body.get_submodule(name)) for name in names}
    shortcut = id(network.body.get_submodule("layer3.0.downsample.1"))  # carried by the graph, computed again by hooks
    assert norms - {shortcut} == wanted


@both_forms
@pytest.mark.parametrize("train", [False, True])
def test_cutting_leaves_the_network_and_the_random_numbers_alone(train, form):
    network = network_of("resnet20_b").train(train)
    before, seed = {key: value.clone() for key, value in network.state_dict().items()}, torch.get_rng_state()
    places = FORMS[form](network)
    places.suffix("layer1.0.bn1", also=["layer2"])
    assert torch.equal(torch.get_rng_state(), seed) and all(module.training is train for module in network.modules())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@both_forms
def test_an_unknown_layer_names_the_nearest(form):
    places = FORMS[form](network_of("resnet20"))
    asked = (
        places.suffix,
        places.shape,
        places.carries,
        lambda layer: places.reader(["bn1", layer]),
        lambda layer: places.reader(carried=[layer]),
        lambda layer: places.suffix("bn1", also=[layer]),
    )
    for ask in asked:
        with pytest.raises(InputError, match=r"resnet20 has no layer 'layer1\.0\.bm1'") as caught:
            ask("layer1.0.bm1")
        assert "layer1.0.bn1" in (caught.value.do or "")


@both_forms
def test_operations_in_place_change_no_value_that_was_read_or_put_in(form):
    network = around(InPlace())
    x, places = images_for(network), FORMS[form](network)
    assert places.names == ["conv1", "bn1", "relu", "conv2", "down", "relu#1", "fc"]
    logits = network(x)
    read = places.reader(places.names, places.names, logits=True)(x)
    assert read.values["bn1"].min() < 0 and read.values["conv2"].min() < 0 and torch.equal(read.logits, logits)
    for layer in places.names:
        assert torch.equal(places.reader([layer])(x).values[layer], read.values[layer]), layer
        given = [read.values[layer], *read.carried[layer]]
        before = [tensor.clone() for tensor in given]
        for _ in range(2):
            assert torch.equal(places.suffix(layer, also=[layer, "fc"]).trace(*given)[0], logits), layer
        assert all(torch.equal(one, other) for one, other in zip(given, before, strict=True)), layer


@both_forms
def test_a_gradient_passes_operations_in_place(form):
    network = around(InPlace()).requires_grad_(False)
    places = FORMS[form](network)
    read = places.reader(["conv2"], ["conv2"])(images_for(network))
    value = read.values["conv2"].requires_grad_()
    places.suffix("conv2")(value, *read.carried["conv2"]).sum().backward()
    assert value.grad is not None and value.grad.abs().sum() > 0


def test_further_calls_of_a_module_are_numbered():
    assert cuts(around(Odd())).names == ["conv", "relu", "conv#1", "relu#1", "fc"]


@both_forms
def test_a_network_with_every_oddity_is_cut_bit_for_bit(form):
    network = around(Odd())
    x, places = images_for(network, 5), FORMS[form](network)
    for layer in places.names:
        assert torch.equal(joined(places, layer, x), network(x)), layer


def test_sizes_are_read_anew_so_that_stitchers_may_share_a_batch():
    network = around(Odd())
    x, places = images_for(network, 5), cuts(network)
    read = places.reader(["relu#1"], ["relu#1"])(x)
    value, carried = read.values["relu#1"], read.carried["relu#1"]
    twice = places.suffix("relu#1")(torch.cat([value, value]), *(torch.cat([c, c]) for c in carried))
    assert torch.allclose(twice, torch.cat([network(x)] * 2), atol=1e-6)

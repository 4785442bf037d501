"""`repsim models` tells of every architecture, and the committed table is what it prints."""

import json
from pathlib import Path

import pytest
from commandline import call

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_architectures_are_listed_with_parameters_layers_and_what_can_be_chosen():
    text, found = call("models", "list"), call("models", "list", "--json").json["architectures"]
    assert [line.split()[0] for line in text.out.splitlines()[1:]] == [one["name"] for one in found]
    assert next(line for line in text.out.splitlines() if line.startswith("vit_tiny_16")).split() == (
        ["vit_tiny_16", "5,717,416", "125", "3", "1–16", "12", "1–24", "16", "px,", "16s", "heads", "of", "64", "channels"]
    )
    by_name = {one["name"]: one for one in found}
    assert by_name["mcnn"]["widths"] == [1, 512] and "channels" in by_name["mcnn"]["width_means"]
    assert by_name["inception_v1"]["widths"] is by_name["mcnn"]["depths"] is by_name["mcnn"]["published"] is None
    resnet50 = by_name["tv_resnet50"]
    assert (resnet50["parameters"], resnet50["published"], resnet50["rounded"]) == (25_557_032, 25_557_032, 1)
    assert resnet50["source"].startswith("torchvision resnet50") and (resnet50["classes"], resnet50["size"]) == (1000, 224)


def test_the_committed_table_of_architectures_is_what_the_command_prints():
    assert (ROOT / "results" / "tables" / "architectures.md").read_text() == call("models", "list", "--format", "markdown").out


def test_an_unknown_format_names_those_there_are():
    answer = call("models", "list", "--format", "markdwon")
    assert answer.code == 2 and "unknown format 'markdwon'" in answer.err and "markdown" in answer.err


def test_the_layers_of_a_network_of_any_width_and_depth_are_printed():
    words = ["models", "layers", "allcnn_v1", "--width", "8", "--depth", "2", "--dataset", "cifar100"]
    layers = {layer["name"]: layer for layer in call(*words, "--json").json["layers"]}
    assert layers["conv1"]["shape"] == [8, 32, 32] and layers["conv16"]["shape"] == [100, 6, 6] and "conv17" not in layers
    lines = call(*words).out.splitlines()
    assert lines[0].split() == ["layer", "kind", "shape", "parameters", "carries"]
    assert lines[1].split() == ["conv1", "Conv2d", "8×32×32", "216", "–"] and len(lines) == 1 + len(layers)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("lenet --depth 2", "lenet: has one depth only"),
        ("vit_tiny --depth 25", "vit_tiny: cannot have depth 25"),
        ("lenett", "there is no architecture 'lenett'"),
        ("resnet18 --width 9999", "width: must be less than or equal to 4096, not 9999"),
        ("../etc", "arch: must match the pattern"),
        ("lenet --dataset ../digits", "dataset: must match the pattern"),
    ],
)
def test_what_no_network_can_have_is_refused(words, what):
    answer = call("models", "layers", *words.split())
    assert answer.code == 2 and what in answer.err


def test_every_number_of_the_json_is_a_number():
    for one in json.loads(call("models", "list", "--json").out)["architectures"]:
        assert isinstance(one["parameters"], int) and isinstance(one["layers"], int) and one["layers"] > 5

"""From a sweep file to its runs: order, pairs, layers, cases, rules, and what is said of every mistake."""

from collections import Counter
from dataclasses import replace

import pytest
import toy

from repsim import identity
from repsim.errors import SpecError, UserError
from repsim.report import plans
from repsim.state import State
from repsim.sweep import mirrored, refusals
from repsim.sweep.filters import matcher
from repsim.sweep.shown import table_of

ZOO = "zoo: {arch: net, dataset: d, seeds: 0..3}\n"
RELU = ZOO + "layers: relu\n"


def configs(project, text):
    return [run.config.model_dump() for run in toy.sweep(project, text).runs]


def pairs(project, text, field="seed"):
    found = [(c[f"front_{field}"], c[f"end_{field}"]) for c in configs(project, text)]
    return list(dict.fromkeys(found))


def layers(project, text):
    return list(dict.fromkeys((c["front_layer"], c["end_layer"]) for c in configs(project, text)))


def test_runs_come_in_the_documented_order(project):
    """Seeds outermost, then pair, layer, the rest of grid in file order, zip, case."""
    found = configs(
        project,
        ZOO + "pairs: [[0, 1], [2, 3]]\nlayers: [relu1, relu2]\ncases: {a: {init: [random, ps_inv]}, b: {stitcher: permutation}}\n"
        "grid: {epochs: [1, 2], seed: [0, 1]}\nzip: {lr: [0.1, 0.2]}",
    )
    key = [(c["seed"], c["front_seed"], c["front_layer"], c["epochs"], c["lr"], c["stitcher"], c["init"]) for c in found]
    rank = {"linear": 0, "permutation": 1}
    assert key == sorted(key, key=lambda k: (*k[:5], rank[k[5]], k[6] != "random"))
    assert len(key) == len(set(key)) == 2 * 2 * 2 * 2 * 2 * 3


def test_every_cell_has_one_seed_before_any_has_two(project):
    found = configs(project, RELU + "grid: {seed: 0..2}")
    assert [c["seed"] for c in found] == [0] * 24 + [1] * 24 + [2] * 24


def test_values_of_a_case_win_over_axes_and_axes_over_fixed(project):
    found = configs(
        project, RELU + "pairs: [[0, 1]]\nfixed: {epochs: 7, lr: 0.5}\ngrid: {seed: [4]}\ncases: {a: {epochs: 9}, b: {}}"
    )
    assert [(c["epochs"], c["lr"], c["seed"]) for c in found] == [(9, 0.5, 4), (7, 0.5, 4)] * 2


def test_a_range_has_both_ends_and_zipped_axes_go_together(project):
    assert len(toy.sweep(project, "zoo: {arch: net, dataset: d, seeds: 0..31}\nlayers: relu1\npairs: self").networks) == 32
    found = configs(project, "job: square\nzip: {value: [1.0, 2.0, 3.0], batch: 5..7}")
    assert [(c["value"], c["batch"]) for c in found] == [(1.0, 5), (2.0, 6), (3.0, 7)]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("ordered", [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]),
        ("unordered", [(0, 1), (0, 2), (1, 2)]),
        ("disjoint", [(0, 1)]),
        ("self", [(0, 0), (1, 1), (2, 2)]),
        ("[[2, 0], [1, 1]]", [(2, 0), (1, 1)]),
    ],
)
def test_pairs_are_formed_as_named(project, said, expected):
    assert pairs(project, f"zoo: {{arch: net, dataset: d, seeds: 0..2}}\nlayers: relu1\npairs: {said}") == expected


def test_pairs_stay_within_an_architecture_unless_crossed(project):
    text = "zoo: {arch: [net, other], dataset: d, seeds: 0..1}\nlayers: relu1\n"
    assert set(pairs(project, text, "arch")) == {("net", "net"), ("other", "other")}
    assert len(set(pairs(project, text + "cross: true", "arch"))) == 4
    assert len(configs(project, text + "cross: true")) == 4 * 3


def test_networks_of_another_width_are_another_pool(project):
    text = "zoo: [{arch: net, dataset: d, seeds: 0..1}, {arch: net, width: 8, dataset: d, seeds: 0..1}]\nlayers: relu1"
    assert pairs(project, text, "arch") == [("net", "net"), ("net-w8", "net-w8")]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("relu", ["relu1", "relu2"]),
        ("bn", ["bn1", "bn2"]),
        ("conv", ["conv1", "conv2"]),
        ("relu2", ["relu2"]),
        ("'*2'", ["conv2", "bn2", "relu2"]),
        ("[relu2, conv1]", ["conv1", "relu2"]),
        ("[relu, relu1]", ["relu1", "relu2"]),
        ("'[cf]*'", ["conv1", "conv2", "fc"]),
        ("{front: relu, end: [relu2, relu1], combine: same}", ["relu1", "relu2"]),
    ],
)
def test_layers_are_chosen_by_name_glob_or_kind_in_execution_order(project, said, expected):
    assert layers(project, ZOO + f"layers: {said}") == [(name, name) for name in expected]


def test_front_and_end_layers_combine(project):
    assert layers(project, ZOO + "layers: {front: relu, end: [bn1]}") == [("relu1", "bn1"), ("relu2", "bn1")]


def test_crossed_architectures_share_the_layers_they_both_have(project):
    found = configs(project, "zoo: {arch: [net, other], dataset: d, seeds: [0]}\ncross: true\nlayers: '[cr]*'")
    assert {c["front_layer"] for c in found} == {"conv1", "relu1"}
    blocks = "zoo: {arch: other, dataset: d, seeds: 0..1}\nlayers: block"
    assert layers(project, blocks) == [("block.0", "block.0"), ("block.1", "block.1")]


def test_a_case_with_lists_is_several_named_by_their_values(project):
    cases = "cases: {plain: {}, low: {stitcher: lowrank, rank: [1, 2], init: [random]}}"
    runs = toy.sweep(project, ZOO + f"layers: relu1\npairs: [[0, 1]]\n{cases}").runs
    assert [run.labels["case"] for run in runs] == ["plain", "low 1", "low 2"]
    assert runs[1].slug == f"low 1/net/1/net/0/{runs[1].id}" or runs[1].slug.startswith("low 1/")


def test_a_case_may_be_named_in_any_script(project):
    cases = "cases: {größe: {}, λ_1: {epochs: 3}, 置換: {stitcher: permutation}}"
    found = toy.sweep(project, RELU + cases)
    assert list(dict.fromkeys(run.labels["case"] for run in found.runs)) == ["größe", "λ_1", "置換"]


def test_renaming_a_case_changes_no_id(project):
    one, other = (toy.sweep(project, RELU + f"cases: {{{name}: {{init: ps_inv}}}}") for name in ("a", "b"))
    assert [run.id for run in one.runs] == [run.id for run in other.runs]


def test_another_recipe_changes_the_ids_of_what_is_measured_on_its_networks(project):
    """Networks enter by their own id, so by how they were made, not by where they lie."""
    one, other = (toy.sweep(project, RELU.replace("seeds", f"{said}seeds")) for said in ("", "epochs: 2, "))
    assert not {run.id for run in one.all_runs} & {run.id for run in other.all_runs}


def test_where_a_project_lies_and_where_its_runs_go_is_no_part_of_an_id(project, tmp_path):
    one, other = toy.sweep(project, RELU), toy.sweep(toy.make(tmp_path / "moved"), RELU + "profile: elsewhere\n", "renamed")
    assert [run.id for run in one.all_runs] == [run.id for run in other.all_runs]


def test_equal_runs_are_merged_counted_and_stay_where_they_first_stood(project):
    found = toy.sweep(project, "job: square\nzip: {value: [3.0, 1.0, 3.0, 2.0, 1.0]}")
    assert [run.config.model_dump()["value"] for run in found.runs] == [3.0, 1.0, 2.0]
    assert found.merged == 2
    twins = toy.sweep(project, ZOO + "layers: relu1\ncases: {first: {}, second: {init: random}, third: {init: ps_inv}}")
    assert [run.labels["case"] for run in twins.runs] == ["first", "third"] * 12
    assert twins.merged == 12


def test_runs_know_their_networks_and_networks_come_once(project):
    found = toy.sweep(project, RELU)
    ids = [network.id for network in found.networks]
    assert len(set(ids)) == 4
    assert {i for run in found.runs for i in run.inputs} == set(ids)
    assert Counter(run.group for run in found.runs).most_common(1)[0][1] == 2
    assert found.all_runs[:4] == found.networks


def test_rules_take_out_what_they_match_by_value_glob_alias_default_and_case(project):
    base = ZOO + "layers: [relu, bn]\ncases: {a: {init: [random, ps_inv]}, b: {stitcher: lowrank, rank: [1, 2]}}\n"
    everything = configs(project, base)

    def left(rule):
        return len(everything) - len(configs(project, base + f"exclude: [{rule}]"))

    assert left("{layers: relu1}") == left("{layer: relu1}") == left("{front_layer: relu1}") == 12 * 4
    assert left("{layer: 'relu*'}") == left("{layer: [relu1, relu2]}") == 12 * 8
    assert left("{stitcher: linear}") == left("{rank: null}") == left("{case: 'a*'}") == 12 * 8
    assert left("{rank: 2, layer: bn1}") == 12
    assert left("{arch: net, front_seed: 0, end_seed: [1, 2]}") == 2 * 16


def test_a_plan_says_how_many_symmetric_comparisons_are_asked_both_ways(project, monkeypatch):
    """3 pairs of networks at 2 layers, one of two measures symmetric."""
    zoo = "job: compare\nzoo: {arch: net, dataset: d, seeds: 0..2}\nlayers: [bn1, bn2]\ngrid: {measure: [cka, rbf]}\n"
    sweep = toy.sweep(project, zoo)
    assert mirrored.twice(sweep) == 0, "a job that knows of no mirror"

    def swapped(config):
        other = {name: f"{'end' if name.startswith('front') else 'front'}_{name.partition('_')[2]}" for name in sides}
        return config.model_copy(update={name: getattr(config, other[name]) for name in sides}) if config.measure == "cka" else None

    sides = [name for name in sweep.jobs["compare"].config.model_fields if name.startswith(("front_", "end_"))]
    monkeypatch.setattr(sweep.jobs["compare"].module, "mirrored", swapped, raising=False)
    assert (len(sweep.runs), mirrored.twice(sweep)) == (24, 6)
    assert plans.notes(sweep, toy.states(project, sweep)) == ["6 symmetric comparisons asked both ways; pairs: unordered asks once"]
    once = replace(sweep, spec=sweep.spec.model_copy(update={"pairs": "unordered"}))
    assert mirrored.twice(once) == 0


def test_a_case_is_like_another_and_its_own_words_win(project):
    cases = "cases: {base: {init: [random, ps_inv], epochs: 3}, low: {like: base, stitcher: lowrank, rank: 2}, "
    cases += "one: {like: low, init: matched}}"
    runs = toy.sweep(project, ZOO + f"layers: relu1\npairs: [[0, 1]]\n{cases}").runs
    assert [(run.labels["case"], run.config.stitcher, run.config.init, run.config.rank, run.config.epochs) for run in runs] == [
        ("base random", "linear", "random", None, 3),
        ("base ps_inv", "linear", "ps_inv", None, 3),
        ("low random", "lowrank", "random", 2, 3),
        ("low ps_inv", "lowrank", "ps_inv", 2, 3),
        ("one", "lowrank", "matched", 2, 3),
    ]


def test_what_holds_when_something_is_so_is_said_once(project):
    """A rule sees what the rules before it set, and wins over cases, axes over fixed values; a list makes several points."""
    text = "pairs: [[0, 1]]\nlayers: relu\nfixed: {lr: 0.5, epochs: 1}\ngrid: {stitcher: [linear, lowrank]}\nwhen:\n"
    first, then = (
        "- {if: {stitcher: lowrank}, then: {rank: [1, 2]}}\n",
        "- {if: {rank: 2, layer: '*1'}, then: {lr: 0.1, epochs: 9}}",
    )
    found = [(c["front_layer"], c["rank"], c["lr"], c["epochs"]) for c in configs(project, ZOO + text + first + then)]
    assert found == [
        (layer, rank, *((0.1, 9) if (layer, rank) == ("relu1", 2) else (0.5, 1)))
        for layer in ("relu1", "relu2")
        for rank in (None, 1, 2)
    ]


def test_an_included_point_is_of_a_place_of_the_sweep_and_is_no_part_of_the_product(project):
    """Nor does `when` see it; `exclude` does."""
    text = RELU + "pairs: [[0, 1], [2, 3]]\ncases: {a: {init: [random, ps_inv], lr: 0.5}}\ngrid: {seed: 0..1}\nfixed: {epochs: 2}\n"
    text += "when: [{if: {init: random}, then: {epochs: 5}}]\n"
    more = (
        "include: [{case: a, layer: relu1, front_seed: 2, seed: 7, init: random}, {stitcher: lowrank, rank: [1, 2], end_seed: 1}]\n"
    )
    product, whole = toy.sweep(project, text).runs, toy.sweep(project, text + more).runs
    assert whole[: len(product)] == product
    assert [
        (r.labels["case"], r.config.front_seed, r.config.front_layer, r.config.seed, r.config.lr, r.config.epochs, r.config.rank)
        for r in whole[len(product) :]
    ] == [
        ("a random", 2, "relu1", 7, 0.5, 2, None),
        *(("included " + str(k), 0, layer, 0, 0.001, 2, k) for layer in ("relu1", "relu2") for k in (1, 2)),
    ]
    assert len(toy.sweep(project, text + more + "exclude: [{case: 'incl*', rank: 2}]").runs) == len(whole) - 2


def test_a_sweep_without_a_zoo_includes_points_too(project):
    found = configs(project, "job: square\ngrid: {value: [1.0, 2.0]}\ninclude: [{value: 9.0, batch: [3, 4]}]")
    assert [(c["value"], c["batch"]) for c in found] == [(1.0, 0), (2.0, 0), (9.0, 3), (9.0, 4)]


def test_blocks_are_evaluated_in_the_documented_order(project):
    """product → zip → when → include → exclude: each sees what came before it, and nothing that comes after."""
    text = "job: square\ngrid: {batch: [1, 2]}\nzip: {value: [1.0, 2.0], times: [10, 20]}\n"
    when = "when: [{if: {batch: 2, times: 20}, then: {mood: [well, fails]}}]\n"
    include = "include: [{value: 2.0, times: 20, batch: 2, nick: late}]\n"
    rest = [(1, 1.0, "well"), (1, 2.0, "well"), (2, 1.0, "well"), (2, 2.0, "well")]
    fails = (2, 2.0, "fails")
    for blocks, expected, merged in (
        ("", rest, 0),
        (when, [*rest, fails], 0),
        (when + include, [*rest, fails], 1),
        (when + include + "exclude: [{mood: fails}, {times: 10}]", [rest[1], rest[3]], 1),
    ):
        sweep = toy.sweep(project, text + blocks)
        assert [(run.config.batch, run.config.value, run.config.mood) for run in sweep.runs] == expected
        assert sweep.merged == merged


def test_architectures_take_turns_so_that_each_has_one_pair_before_any_has_two(project):
    text = "zoo: {arch: [net, other], dataset: d, seeds: 0..2}\nlayers: relu1\npairs: "
    assert pairs(project, text + "unordered", "arch") == [("net", "net"), ("other", "other")]
    assert [(c["front_arch"], c["end_seed"]) for c in configs(project, text + "unordered")] == [
        (arch, seed) for seed in (1, 2, 2) for arch in ("net", "other")
    ]
    networks = toy.sweep(project, text + "self").networks
    assert [run.slug.rsplit("/", 1)[0] for run in networks] == [f"{arch}/{seed}" for seed in range(3) for arch in ("net", "other")]


def test_a_shuffle_moves_runs_by_its_seed_and_changes_no_id(project):
    text = RELU + "grid: {seed: 0..3}\n"
    plain, again, first, other = (
        [run.id for run in toy.sweep(project, text + order).runs]
        for order in ("", "order: seeds", "order: shuffle", "order: {shuffle: 1}")
    )
    assert plain == again
    assert first == [run.id for run in toy.sweep(project, text + "order: {shuffle: 0}").runs]
    assert len({tuple(ids) for ids in (plain, first, other)}) == 3
    assert set(plain) == set(first) == set(other)
    fewer = [run.id for run in toy.sweep(project, text + "order: shuffle\nexclude: [{layer: relu2}]").runs]
    assert fewer == [run for run in first if run in set(fewer)]


def test_two_configurations_of_one_id_are_an_error_not_a_merger(project, monkeypatch):
    monkeypatch.setattr(identity, "DIGITS", 1)
    with pytest.raises(SpecError, match=r"two different runs have the id .*\n.*raise VERSION"):
        toy.sweep(project, "job: square\ngrid: {value: 0..16}")


def test_a_job_without_networks_has_its_own_field_called_arch(project):
    text = "job: train\nfixed: {dataset: d}\ngrid: {arch: [net, other], seed: 0..1}\n"
    found = toy.sweep(project, text + "exclude: [{arch: other, seed: 1}]")
    assert len(found.runs) == 3
    assert not found.networks
    assert len([run for run in found.runs if matcher(["arch=net"], found)(run)]) == 2


def test_the_runs_of_a_sweep_of_trainings_are_its_networks(project):
    """Grid and cases say further fields; the ids are those that a sweep of stitches gives to the same networks."""
    zoo = "zoo: {arch: [net, other], width: 8, dataset: d, seeds: 0..2}\n"
    found = toy.sweep(project, "job: train\n" + zoo)
    assert not found.networks
    assert [(run.config.arch, run.config.seed) for run in found.runs] == [(a, s) for s in range(3) for a in ("net", "other")]
    stitches = toy.sweep(project, zoo + "layers: relu1")
    assert [run.id for run in found.runs] == [run.id for run in stitches.networks]
    assert found.runs[4].slug == f"net/2/{found.runs[4].id}"


def test_a_sweep_of_trainings_has_axes_cases_rules_and_fixed_values(project):
    text = "job: train\nzoo: {arch: net, dataset: d, seeds: 0..1}\ngrid: {epochs: [1, 5]}\nfixed: {data_seed: 7}\n"
    cases = "cases: {well: {}, badly: {recipe: [diverges]}}\nexclude: [{case: badly, epochs: 1}, {seed: 1, epochs: 5}]"
    found = [(c["epochs"], c["seed"], c["recipe"]) for c in configs(project, text + cases)]
    assert found == [(1, 0, "good"), (5, 0, "good"), (5, 0, "diverges"), (1, 1, "good")]
    assert {c["data_seed"] for c in configs(project, text)} == {7}


def test_blocks_of_a_zoo_to_train_may_differ_in_what_they_say(project):
    text = "job: train\nzoo: [{arch: net, width: 4, dataset: d, seeds: 0..1}, {arch: net, depth: 2, dataset: e, seeds: 1}]"
    found = [(c["width"], c["depth"], c["dataset"], c["seed"]) for c in configs(project, text)]
    assert found == [(4, None, "d", 0), (None, 2, "e", 1), (4, None, "d", 1)]


def test_a_job_on_single_networks_has_one_run_per_network_and_trains_them_first(project):
    found = toy.sweep(project, "job: measure\nzoo: {arch: [net, other], width: 4, dataset: d, seeds: 0..1}\ngrid: {steps: [0, 9]}")
    assert [(c.config.steps, c.config.network) for c in found.runs] == [(s, n.id) for n in found.networks for s in (0, 9)]
    assert [(run.config.arch, run.config.seed, run.config.dataset) for run in found.runs[::2]] == [
        (arch, seed, "d") for seed in (0, 1) for arch in ("net-w4", "other-w4")
    ]
    assert [run.inputs for run in found.runs] == [(run.config.network,) for run in found.runs]
    assert toy.run(project, found) == ["done"] * 8
    assert {standing.state for standing in toy.states(project, found).values()} == {State.DONE}


def test_a_job_on_a_layer_has_one_run_per_network_and_layer(project):
    """Networks turn by turn, layers in the order of each network; the table is by layer, whatever is a seed is averaged."""
    text = "job: probe\nzoo: {arch: [net, other], dataset: d, seeds: 0..1}\nlayers: [relu, conv1]\n"
    text += "grid: {noise_seed: [0, 1], rank: [1, 2]}"
    found = toy.sweep(project, text)
    layers = {"net": ["conv1", "relu1", "relu2"], "other": ["conv1", "relu1"]}
    places = [(arch, seed, layer) for seed in (0, 1) for arch in ("net", "other") for layer in layers[arch]]
    said = [(c.noise_seed, (c.arch, c.seed, c.layer), c.rank) for c in (run.config for run in found.runs)]
    assert said == [(noise, place, rank) for noise in (0, 1) for place in places for rank in (1, 2)]
    assert [run.inputs for run in found.runs] == [(run.config.network,) for run in found.runs]
    assert table_of(found) == {"rows": ["arch", "layer"], "cols": ["rank"], "value": "accuracy"}
    assert configs(project, text + "\nexclude: [{layer: 'relu*'}]")[0]["layer"] == "conv1"
    assert toy.run(project, found) == ["done"] * 8


def test_a_network_may_be_measured_on_other_data_or_named_by_its_id(project):
    found = configs(project, "job: measure\n" + ZOO + "grid: {dataset: [d, e]}")
    assert [c["dataset"] for c in found] == ["d", "e"] * 4
    assert len({c["network"] for c in found}) == 4
    network = toy.sweep(project, "job: train\n" + ZOO).runs[0]
    toy.run(project, toy.sweep(project, "job: train\n" + ZOO))
    assert configs(project, f"job: square\nfixed: {{network: '{network.id}', value: 2.0}}")[0]["network"] == network.id


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ([], 48),
        (["case=low"], 24),
        (["layer=relu1"], 24),
        (["front_seed=0", "end_seed=1"], 4),
        (["arch=n*", "rank=1"], 24),
        (["lr=2"], 0),
    ],
)
def test_filters_keep_what_matches_all_of_them(project, filters, count):
    sweep = toy.sweep(project, RELU + "cases: {lin: {}, low: {stitcher: lowrank, rank: 1}}")
    assert sum(map(matcher(filters, sweep), sweep.runs)) == count


def test_filters_that_mean_nothing_are_refused(project):
    sweep = toy.sweep(project, RELU)
    with pytest.raises(SpecError, match="did you mean 'stitcher'"):
        matcher(["stitchr=a"], sweep)
    for text in ("stitcher", "stitcher=", "=linear"):
        with pytest.raises(SpecError):
            matcher([text], sweep)


MISTAKES = [
    ("pear: disjoint\n" + RELU, "pear: unknown key 'pear'", "'pairs'"),
    ("layers: relu", "the job 'stitch' needs networks", "add a zoo block"),
    ("zoo: []\nlayers: relu", "zoo: the zoo is empty", ""),
    ("zoo: 3\nlayers: relu", "zoo: must be a mapping", ""),
    ("zoo:\nlayers: relu", "zoo: must be a mapping of keys to values, not nothing", ""),
    ("zoo: {arch: net, dataset: d}\nlayers: relu", "zoo.seeds: is missing", ""),
    ("zoo: {arch: net, dataset: d, seeds: 0..1, seed: 3}\nlayers: relu", "zoo.seed: unknown key 'seed'", "'seeds'"),
    ("zoo: {arch: net, dataset: d, seeds: 0..1, recip: good}\nlayers: relu", "zoo.recip: unknown key 'recip'", "'recipe'"),
    (
        "zoo: [{arch: net, dataset: d, seeds: 0}, {arch: net, dataset: d, seeds: 1, widht: 2}]\nlayers: relu",
        "zoo.1.widht:",
        "'width'",
    ),
    ("zoo: {arch: net, dataset: d, seeds: few}\nlayers: relu", "zoo.seeds: must be a whole number, not 'few'", ""),
    ("zoo: {arch: net, dataset: d, seeds: [1, -1]}\nlayers: relu", "zoo.seeds.1: must be greater than or equal to 0, not -1", ""),
    ("zoo: {arch: net, dataset: d, seeds: 3..1}\nlayers: relu", "zoo.seeds: the range 3..1 is empty or too long", ""),
    ("zoo: {arch: net, dataset: d, seeds: 0..999999999}\nlayers: relu", "zoo.seeds: the range", ""),
    ("zoo: {arch: net, dataset: absent, seeds: 0..1}\nlayers: relu", "dataset: the data set is not there", "put it there"),
    ("zoo: {arch: nett, dataset: d, seeds: 0..1}\nlayers: relu", "there is no architecture 'nett'", "'net'"),
    ("zoo: [{arch: net, dataset: d, seeds: 0..1}, {arch: net, dataset: d, seeds: 1}]\nlayers: relu", "name the same network", ""),
    ("zoo: {arch: net, dataset: d, seeds: 0}\nlayers: relu", "pairs: the zoo is too small", "more seeds"),
    (
        "zoo: {arch: net, dataset: d, seeds: 0..1, imported: x}\nlayers: relu",
        "no imported network is called x",
        "repsim zoo import",
    ),
    (ZOO, "say which layers", "layers: relu"),
    ("job: probe\n" + ZOO, "say which layers", "layers: relu"),
    ("job: probe\n" + ZOO + "layers: rellu1", "layers: net has no layer 'rellu1'", "'relu1'"),
    ("job: probe\n" + ZOO + "layers: {front: relu, end: relu}", "layers: a job on single networks has no front and end", "alone"),
    ("job: probe\n" + RELU + "pairs: self", "pairs: the job 'probe' joins no two networks", "remove it"),
    ("job: probe\n" + RELU + "fixed: {layer: relu1}", "fixed.layer: 'layer' is set by the zoo", ""),
    (ZOO + "layers: rellu1", "layers: net has no layer 'rellu1'", "'relu1'"),
    (ZOO + "layers: {front: relu}", "layers.end: is missing", ""),
    (ZOO + "layers: {front: relu, ende: relu}", "layers.ende: unknown key 'ende'", "'end'"),
    (ZOO + "layers: {front: [relu9], end: relu}", "layers.front: net has no layer 'relu9'", "'relu1'"),
    (ZOO + "layers: {front: relu, end: relu, combine: al}", "layers.combine: must be 'all' or 'same', not 'al'", "'all'"),
    (ZOO + "layers: {front: conv, end: relu, combine: same}", "layers: the two networks share no layer name", "combine: all"),
    (ZOO + "layers: []", "layers: the axis is empty", ""),
    (ZOO + "layers: [relu, 3]", "layers.1: must be text, not 3", ""),
    (ZOO + "layers: 3", "layers: must be text, not 3", ""),
    (RELU + "pairs: orderd", "pairs: must be 'ordered', 'unordered', 'disjoint' or 'self'", "'ordered'"),
    (RELU + "pairs: [[0, 9]]", "pairs.0: no network has seed 9", "0, 1, 2, 3"),
    (RELU + "pairs: [[0, 1, 2]]", "pairs.0: a pair has two seeds", ""),
    (RELU + "pairs: [0, 1]", "pairs.0: must be a list, not 0", ""),
    (RELU + "pairs: []", "pairs: names no pair", ""),
    (RELU + "grid: {seed: []}", "grid.seed: the axis is empty", ""),
    (RELU + "grid: {seed: [1, 2, 1]}", "grid.seed: the axis holds 1 twice", ""),
    (RELU + "grid: {sed: [1]}", "grid.sed: unknown key 'sed'", "'seed'"),
    (RELU + "grid: {lr: [0.1, 1e-3]}", "grid.lr: must be a number, not '1e-3'", "as in 1.0e-3"),
    (RELU + "grid: {seed: {a: 1}}", "grid.seed: must be a single value", ""),
    (RELU + "grid: [1]", "grid: must be a mapping", ""),
    (RELU + "fixed: {seed: [1, 2]}", "fixed.seed: must be a single value, not [1, 2]", ""),
    (RELU + "fixed: {lr: -1.0}", "fixed.lr: must be greater than 0, not -1.0", ""),
    (RELU + "fixed: {dataset: other}", "fixed.dataset: 'dataset' is set by the zoo", ""),
    (RELU + "zip: {seed: [1, 2], lr: [0.1]}", "zip: zipped axes must be equally long: seed has 2, lr has 1", ""),
    (RELU + "zip: {seed: [1, 2]}\ngrid: {seed: [3]}", "'seed' is set by grid and by zip", ""),
    (RELU + "grid: {seed: [3]}\nfixed: {seed: 1}", "'seed' is fixed and an axis", ""),
    (RELU + "grid: {seed: [3]}\ncases: {a: {seed: 1}}", "'seed' is set by grid and by cases.a", ""),
    (RELU + "cases: {low: {stitcher: lowrank}}", "cases.low: rank: a lowrank stitcher needs one", ""),
    (RELU + "cases: {low: {stitcher: linar}}", "cases.low.stitcher: must be", "'linear'"),
    (RELU + "cases: {low: {rnk: 1}}", "cases.low.rnk: unknown key 'rnk'", "'rank'"),
    (RELU + "cases: {a: 3}", "cases.a: must be a mapping", ""),
    (RELU + "cases: {größe und λ: {}}", "cases: the case name 'größe und λ' may hold only letters", ""),
    (RELU + "cases: {../a: {}}", "cases: the case name '../a'", ""),
    (RELU + "exclude: [{seed: 5}]", "exclude.0: the rule excludes nothing", ""),
    (RELU + "exclude: [{sed: 5}]", "exclude.0.sed: unknown key 'sed'", "'seed'"),
    (RELU + "exclude: [{layer: '*'}]", "exclude: every run is excluded", ""),
    (RELU + "exclude: {seed: 5}", "exclude: must be a list", ""),
    (RELU + "cases: {a: {like: b}, bb: {}}", "cases.a.like: there is no case 'b'", "'bb'"),
    (RELU + "cases: {a: {like: b}, b: {like: c}, c: {like: b}}", "cases.c.like: the case 'b' is like itself", "remove one"),
    (RELU + "cases: {a: {like: [b, c]}, b: {}, c: {}}", "cases.a.like: a case is like one other", ""),
    (RELU + "cases: {a: {like: b}, b: {rnk: 3}}", "cases.a.rnk: unknown key 'rnk'", "'rank'"),
    (RELU + "cases: {a: {like: b}, b: {rnk: 3}}", "unknown key 'rnk' (inherited: cases.b.rnk)", ""),
    (RELU + "cases: {a: {like: b}, b: {like: c}, c: {stitcher: linar}}", "'linar' (inherited: cases.c.stitcher)", "'linear'"),
    (RELU + "cases: {a: {like: b, lr: 0.1}, b: {stitcher: lowrank}}", "no other has one (with cases.b.stitcher)", ""),
    (RELU + "grid: {seed: [3]}\ncases: {a: {like: b}, b: {seed: 1}}", "'seed' is set by grid and by cases.a, cases.b.seed", ""),
    (
        RELU + "cases: {a: {}, b: {like: a}}\nwhen: [{if: {case: b}, then: {stitcher: lowrank}}]",
        "when.0: rank: a lowrank stitcher needs one, no other has one (with cases.b)",
        "",
    ),
    (RELU + "when: {if: {seed: 0}, then: {lr: 0.1}}", "when: must be a list", ""),
    (RELU + "when: [{if: {seed: 0}}]", "when.0.then: is missing", ""),
    (RELU + "when: [{iff: {seed: 0}, then: {lr: 0.1}}]", "when.0.iff: unknown key 'iff'", "'if'"),
    (RELU + "when: [{if: {sed: 0}, then: {lr: 0.1}}]", "when.0.if.sed: unknown key 'sed'", "'seed'"),
    (RELU + "when: [{if: {seed: 0}, then: {rl: 0.1}}]", "when.0.then.rl: unknown key 'rl'", "'lr'"),
    (RELU + "when: [{if: {seed: 1}, then: {lr: 0.1}}]", "when.0.if: no point meets the condition", "remove the rule"),
    (RELU + "when: [{if: {seed: 0}, then: {lr: 0.0}}]", "when.0.then.lr: must be greater than 0", ""),
    (RELU + "when: [{if: {}, then: {lr: 0.1}}]", "when.0.if: ", ""),
    (
        RELU + "grid: {seed: 0..1}\nwhen: [{if: {seed: 0}, then: {seed: 2}}]",
        "when.0.then.seed: 'seed' is set by grid and by when.0",
        "",
    ),
    (RELU + "include: [{rnk: 1}]", "include.0.rnk: unknown key 'rnk'", "'rank'"),
    (
        RELU + "include: [{layer: bn1}]",
        "include.0: no pair and layer, or network, of the sweep has front_layer ['bn1']",
        "zoo, pairs",
    ),
    (RELU + "cases: {a: {}}\ninclude: [{case: b}]", "include.0.case: there is no case 'b'", "valid: a"),
    (RELU + "include: [{seed: -1}]", "include.0.seed: must be greater than or equal to 0", ""),
    (RELU + "include: {seed: 1}", "include: must be a list", ""),
    (RELU + "order: shufle", "order: must be 'seeds' or 'shuffle'", "'shuffle'"),
    (RELU + "order: {shuffle: -1}", "order.shuffle: must be greater than or equal to 0", ""),
    ("job: train\n" + ZOO + "when: [{if: {seed: 0}, then: {dataset: e}}]", "when.0.then.dataset: 'dataset' is set by the zoo", ""),
    ("job: stich", "there is no job 'stich'", "'stitch'"),
    ("job: ../jobs/stitch", "job: must match the pattern", ""),
    (
        "job: square\nlayers: relu\ngrid: {value: [1.0]}",
        "layers: the job 'square' joins no two networks, so 'layers' says nothing",
        "",
    ),
    ("job: import_network\n" + ZOO, "zoo: the job 'import_network' works on no networks", ""),
    ("job: train\n" + RELU, "layers: the job 'train' joins no two networks", "remove it"),
    ("job: train\npairs: self\n" + ZOO, "pairs: the job 'train' joins no two networks", "remove it"),
    ("job: measure\ncross: true\n" + ZOO, "cross: the job 'measure' joins no two networks", "remove it"),
    ("job: measure\ngrid: {steps: [1]}", "the job 'measure' needs networks", "add a zoo block"),
    ("job: measure\n" + ZOO + "fixed: {arch: net}", "fixed.arch: 'arch' is set by the zoo", ""),
    ("job: train\n" + ZOO + "grid: {seed: [1, 2]}", "grid.seed: 'seed' is set by the zoo", ""),
    (
        "job: train\nzoo: {arch: net, dataset: d, seeds: 0, recipe: good}\ncases: {bad: {recipe: fails}}",
        "cases.bad.recipe: 'recipe' is set by the zoo",
        "",
    ),
    ("job: train\nzoo: {arch: net, dataset: d, seeds: 0, recip: good}", "zoo.recip: unknown key 'recip'", "'recipe'"),
    ("job: train\nzoo: {arch: net, dataset: d, seeds: 0, recipe: god}", "zoo.recipe: must be", "'good'"),
    ("job: train\nzoo: {arch: net, dataset: d, seeds: 0, seed: 1}", "zoo.seed: unknown key 'seed'", "'seeds'"),
    ("job: train\nzoo: {arch: net, dataset: d, seeds: 0, imported: x}", "zoo.imported: imported networks are not trained", ""),
    ("job: train\nzoo: {arch: nett, dataset: d, seeds: 0}", "there is no architecture 'nett'", "'net'"),
    ("job: train\nzoo: {arch: net, dataset: d}", "zoo.seeds: is missing", ""),
    (RELU + "profile: ../../etc/passwd", "profile: must match the pattern", ""),
    (
        "zoo: [{arch: net, dataset: d, seeds: 0}, {arch: net, width: 9, dataset: d, seeds: 1}]\ncross: true\nlayers: relu\n"
        "cases: {p: {stitcher: permutation}}",
        "p · stitcher: a permutation needs equal widths",
        "",
    ),
]


@pytest.mark.parametrize(("text", "said", "do"), MISTAKES, ids=range(len(MISTAKES)))
def test_every_mistake_names_file_key_path_and_remedy(project, text, said, do):
    with pytest.raises(UserError) as caught:
        toy.sweep(project, text)
    message = str(caught.value)
    assert message.startswith(str(project.sweeps / "toy.yaml"))
    assert said in message
    assert do in (caught.value.do or "")
    assert not toy.PYDANTIC.search(message)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("zoo: {arch: net, dataset: d, seeds: 0..99}\nlayers: relu", "the sweep holds more than 500 runs"),
        ("zoo: [" + "{arch: net, dataset: d, seeds: 0..99999}, " * 9 + "]\nlayers: relu", "the zoo holds 900,000 networks"),
        (RELU + "when: [{if: {seed: 0}, then: {epochs: 1..90000}}]", "the sweep holds more than 500 runs"),
        (RELU + "include: [{epochs: 1..90000}]", "the sweep holds more than 500 runs"),
        (RELU + "include: [{epochs: 0..99999, seed: 0..99999, lr: 0..99999}]", "the sweep holds more than 500 runs"),
        (RELU + "when: [" + "{if: {seed: 0}, then: {lr: [0.1, 0.2]}}, " * 90 + "]", "the sweep holds more than 500 runs"),
        (RELU + "when: [" + "{if: {seed: 0}, then: {lr: 0.1}}, " * 101 + "]", "when: .* at most 100 items"),
        (RELU + "exclude: [" + "{seed: 1}, " * 500 + "]", "exclude: 500 rules for 24 points are too many"),
        (RELU + "include: [" + "{seed: 1}, " * 500 + "]", "include: 500 rules for 24 points are too many"),
        ("zoo: [" + "{arch: net, dataset: d, seeds: 0}, " * 1001 + "]\nlayers: relu", "zoo: the zoo has 1,001 blocks"),
    ],
)
def test_work_without_end_is_refused_before_it_is_begun(project, monkeypatch, text, said):
    monkeypatch.setattr(refusals, "MAX_RUNS", 500)
    monkeypatch.setattr(refusals, "MAX_LOOKS", 10_000)
    with pytest.raises(SpecError, match=said):
        toy.sweep(project, text)


def test_a_sweep_too_large_to_hold_is_refused_at_once(project, monkeypatch):
    with pytest.raises(SpecError, match="holds 10,000,000,000 runs"):
        toy.sweep(project, "job: square\ngrid: {value: 0..99999, batch: 0..99999}")
    monkeypatch.setattr(refusals, "MAX_RUNS", 23)
    with pytest.raises(SpecError, match="holds more than 23 runs"):
        toy.sweep(project, RELU)


def test_a_long_axis_is_read_in_a_moment(project):
    found = toy.sweep(project, f"job: square\ngrid: {{batch: {list(range(5000))}, value: [1.0]}}")
    assert len(found.runs) == 5000


def test_a_sweep_with_a_strange_name_is_refused(project):
    with pytest.raises(SpecError, match="rename the file"):
        toy.sweep(project, RELU, name="-rf")


def test_a_job_file_that_cannot_be_loaded_is_named(project):
    (project.jobs / "broken.py").write_text("def run(:\n")
    (project.jobs / "short.py").write_text("VERSION = 1\n")
    for name, said in (
        ("broken", r"broken\.py: the job file cannot be loaded: SyntaxError"),
        ("short", "lacks Config, Row, inputs"),
    ):
        with pytest.raises(SpecError, match=said):
            toy.sweep(project, f"job: {name}")

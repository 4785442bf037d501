"""What a person is told: file, key path, nearest word; never a traceback, never a word of pydantic's."""

import pickle

import pytest
import toy
from pydantic import Field

from repsim import yamlfile
from repsim.errors import ClusterError, InputError, SpecError, UserError, nearest, within
from repsim.profile import load_profile
from repsim.yamlfile import Strict


class Inner(Strict):
    size: int = Field(0, alias="grösse")
    names: list[str] = []


class Outer(Strict):
    word: str = "x"
    rate: float = 1.0
    count: int = 0
    inner: Inner | list[str] = []
    several: list[Inner] = []


def refused(text: str, model=Outer) -> SpecError:
    with pytest.raises(SpecError) as caught:
        yamlfile.validate(model, yamlfile.parse(text, "f.yaml"), "f.yaml")
    assert not toy.PYDANTIC.search(str(caught.value)), caught.value
    return caught.value


def test_an_error_says_where_what_and_what_to_do():
    assert str(UserError("is empty", where="a.yaml", do="fill it")) == "a.yaml: is empty\n  → fill it"
    assert str(UserError("is empty")) == "is empty"


def test_an_error_never_steers_the_terminal_that_it_is_printed_on():
    assert str(UserError("no layer '\x1b[31m\ud800\u202e\r'", do="a\nb")) == "no layer '\\x1b[31m\\ud800\\u202e\\r'\n  → a\nb"
    assert str(UserError("‖W‖ ± α → ü")) == "‖W‖ ± α → ü"


@pytest.mark.parametrize("kind", [UserError, SpecError, InputError, ClusterError])
def test_an_error_survives_the_way_back_from_another_process(kind):
    back = pickle.loads(pickle.dumps(kind("what", where="where", do="do")))
    assert (type(back), back.what, back.where, back.do) == (kind, "what", "where", "do")


def test_a_place_is_put_before_an_error_once():
    with pytest.raises(InputError, match=r"^a\.yaml · layer: is unknown\n  → look$"), within("a.yaml"), within("a.yaml"):
        raise InputError("is unknown", where="layer", do="look")


def test_the_nearest_words_come_first_and_else_all():
    assert nearest("reul", ["relu", "bn", "conv"]) == "did you mean 'relu'?"
    assert nearest("zzz", ["relu", "bn"]) == "valid: bn, relu"
    assert nearest("zzz", [f"word{i:03}" for i in range(100)]).endswith("word039, …")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("word: a\nword: b", "key 'word' stands twice (line 2, column 1)"),
        ("inner: {names: [a], names: [b]}", "key 'names' stands twice"),
        ("a: &x [1, 2]\nb: [*x, *x]", "aliases (*name) are not allowed (line 2"),
        ("- a\n- b", "must be a mapping"),
        ("just words", "must be a mapping"),
        ("", "must be a mapping"),
        ("a: {b: [c}", "is not valid YAML"),
        ("a: 1\n---\nb: 2", "is not valid YAML"),
        ("a:\n\t- b", "is not valid YAML"),
        ("a: \x01", "is not valid YAML"),
        ("? [a, b]\n: 1", "keys must be plain names"),
        ("~: 1", "keys must be plain names"),
        ('"\\e[31m": 1', "holds U+001B, which cannot be printed (line 1, column 1)"),
        ('"a\\nb": 1', "keys must be plain names (line 1"),
        ('"\\ud800": 1', "holds U+D800, which cannot be printed (line 1"),
        ("k" * 200 + ": 1", "keys must be plain names"),
        ('a: "\\ud800"', "holds U+D800, which cannot be printed (line 1, column 4)"),
        ('a: "b\\e[31m"', "holds U+001B, which cannot be printed"),
        ('a: "\\u202eevil"', "holds U+202E, which cannot be printed"),
        ("a: " + "x" * 5000, "a text of 5,000 characters is too long"),
        ("a: 9223372036854775808", "a whole number of more than 64 bits (line 1, column 4)"),
        ("a: !!" + "y" * 5000, "is not valid YAML: could not determine a constructor"),
        ("a: !!python/object/apply:os.system ['true']", "is not valid YAML"),
        ("a: !!bool perhaps", "is not valid YAML"),
        ("a: !!int ''", "is not valid YAML"),
        ("a: !!timestamp soon", "is not valid YAML"),
        ("a: " + "9" * 5000, "is not valid YAML"),
        ("a: " + "[" * 3000, "is nested too deeply"),
        ("a: " + "{b: " * 3000, "is nested too deeply"),
    ],
)
def test_yaml_that_is_no_plain_mapping_is_refused(text, said):
    assert said in str(refused(text))


def test_what_yaml_says_of_a_long_word_is_cut_short():
    assert len(str(refused("a: !!" + "y" * 5000))) < 1200


def test_the_largest_number_that_a_column_holds_is_read():
    assert yamlfile.parse("a: 9223372036854775807\nb: -0x7fffffffffffffff", "f") == {"a": 2**63 - 1, "b": 1 - 2**63}


def test_a_thousandfold_alias_is_refused_before_it_unfolds():
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{b}: &{b} [{','.join(9 * [f'*{a}'])}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "aliases" in str(refused(bomb))


@pytest.mark.parametrize(
    ("text", "where", "what", "do"),
    [
        ("wrod: a", "f.yaml: wrod", "unknown key 'wrod'", "did you mean 'word'?"),
        ("inner: {grösser: 1}", "f.yaml: inner.grösser", "unknown key 'grösser'", "did you mean 'grösse'?"),
        ("several: [{}, {nmaes: [a]}]", "f.yaml: several.1.nmaes", "unknown key 'nmaes'", "did you mean 'names'?"),
        (
            "rate: 1e-3",
            "f.yaml: rate",
            "must be a number, not '1e-3'",
            "YAML reads 1e-3 as text: write a decimal point, as in 1.0e-3",
        ),
        ("count: '3'", "f.yaml: count", "must be a whole number, not '3'", "'3' is text: remove the quotes"),
        ("count: soon", "f.yaml: count", "must be a whole number, not 'soon'", None),
        ("rate: .nan", "f.yaml: rate", "must be a finite number, not nan", None),
        ("word: 3", "f.yaml: word", "must be text, not 3", None),
        ("word:", "f.yaml: word", "must be text, not nothing", None),
        ("several: 3", "f.yaml: several", "must be a list, not 3", None),
        ("several: [3]", "f.yaml: several.0", "must be a mapping of keys to values, not 3", None),
        ("inner: {names: [a, 3]}", "f.yaml: inner.names.1", "must be text, not 3", None),
        ("inner: [a, 3]", "f.yaml: inner.1", "must be text, not 3", None),
    ],
)
def test_a_wrong_value_is_named_by_its_key_path(text, where, what, do):
    error = refused(text)
    assert (error.where, error.what, error.do) == (where, what, do)


def test_what_was_given_is_shown_shortened():
    assert len(refused(f"count: {'x' * 10_000}").what) < 100


def test_numbers_in_yaml_keep_their_value():
    assert yamlfile.parse("a: 1.0e-3\nb: 0.001\nc: 1e-3", "") == {"a": 0.001, "b": 0.001, "c": "1e-3"}


def test_an_absent_file_brings_its_neighbours_to_mind(tmp_path):
    (tmp_path / "digits.yaml").touch()
    with pytest.raises(SpecError, match="no such file") as caught:
        yamlfile.read(tmp_path / "digit.yaml")
    assert caught.value.do == "did you mean 'digits'?"


def test_files_that_are_no_text_or_too_large_are_refused(tmp_path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "large.yaml").write_text("# " + "x" * 1_000_000)
    for name, said in (
        ("binary", "is not text: byte 0"),
        ("folder", "cannot be read"),
        ("large", "is larger than 1,000,000 bytes"),
    ):
        with pytest.raises(SpecError, match=said):
            yamlfile.read(tmp_path / f"{name}.yaml")


def test_a_huge_file_is_refused_unread(tmp_path):
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(1 << 40)  # a hole of a terabyte: reading it would not end
    with pytest.raises(SpecError, match="is larger than"):
        yamlfile.read(tmp_path / "huge.yaml")


def test_a_profile_that_is_no_mapping_is_told_how_a_profile_begins(tmp_path):
    (tmp_path / "mine.yaml").write_text("- 1\n")
    with pytest.raises(SpecError, match="must be a mapping of keys to values\n  → start with 'cluster: slurm'"):
        load_profile(tmp_path, "mine")

"""Every column of every job can be read: it has a meaning that stands alone, a unit and a source."""

import csv
import io
import json
from pathlib import Path

import pytest
from commandline import call
from pydantic import Field

from repsim import dictionary, meanings, store
from repsim.errors import UserError
from repsim.job import Job, JobConfig, JobRow, load
from repsim.schema import Provenance, schema_of
from repsim.units import NONE, unit

ROOT = Path(__file__).parents[2]
JOBS = {path.stem: load(path.parent, path.stem) for path in sorted((ROOT / "jobs").glob("*.py"))}


@pytest.fixture
def at_home(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("name", JOBS)
def test_every_column_of_a_job_has_a_meaning_a_unit_and_a_source(name):
    found = dictionary.complete(JOBS[name])
    assert [one.column for one in found] == [*schema_of(JOBS[name]).names, "case"]
    assert {one.source for one in found} <= dictionary.SOURCES.keys()


@pytest.mark.parametrize("name", JOBS)
def test_no_meaning_leans_on_what_stands_before_it(name):
    assert not [one.column for one in dictionary.of(JOBS[name]) if meanings.LEANS.match(one.meaning)]


def test_no_meaning_is_written_down_that_no_description_needs():
    needed = set()
    for name, job in JOBS.items():
        for column, field in {**job.config.model_fields, **job.row.model_fields}.items():
            if meanings.LEANS.match(field.description or ""):
                needed.add(f"{name}.{column}" if f"{name}.{column}" in meanings.MEANINGS else column)
    assert needed == meanings.MEANINGS.keys()


def test_numbers_have_units_and_text_has_none():
    for name, job in JOBS.items():
        for one in dictionary.of(job):
            assert (one.unit == NONE) == (one.type in ("text", "truth value")), (name, one)


def test_units_are_those_of_what_is_measured():
    stitch = {one.column: one for one in dictionary.of(JOBS["stitch"])}
    assert stitch["penalty"].unit == stitch["accuracy"].unit == "fraction of test images"
    assert stitch["seconds"].unit == "seconds"
    assert stitch["peak_memory_gb"].unit == "GB"
    assert stitch["images_per_second"].unit == "images per second"
    assert (stitch["rank"].unit, stitch["epochs"].unit, stitch["lr"].unit) == ("dimensions", "epochs", "1")
    warmups = {name: unit(name, "warmup", JOBS[name].config.model_fields["warmup"]) for name in ("stitch", "train")}
    assert warmups == {"stitch": "fraction of the epochs", "train": "epochs"}


def test_sources_are_row_config_label_and_provenance():
    stitch = {one.column: one for one in dictionary.of(JOBS["stitch"])}
    wanted = {"penalty": "measured", "stitcher": "asked", "front_seed": "label", "host": "provenance", "case": "sweep"}
    assert {name: stitch[name].source for name in wanted} == wanted
    assert {name for name, one in stitch.items() if one.source == "provenance"} == set(Provenance.model_fields)


def test_what_was_asked_for_stands_beside_what_was_used():
    (images,) = [one for one in dictionary.of(JOBS["stitch"]) if one.column == "train_images"]
    assert images.source == "measured"
    assert images.asked == "training images of S; null: all but the validation images"


def test_the_paper_of_a_column_is_named():
    stitch = {one.column: one.reference for one in dictionary.of(JOBS["stitch"])}
    assert stitch["penalty_end"] == "Bansal et al. 2021"
    assert stitch["residual_uncentred"] == "Balogh & Jelasity 2025"
    assert stitch["relative_accuracy"] == "Csiszárik et al. 2021"
    assert "= " not in stitch["penalty"]


def test_a_field_may_say_its_unit_itself():
    class Row(JobRow):
        speed: float = Field(description="how fast", json_schema_extra={"unit": "m/s"})

    assert unit("any", "speed", Row.model_fields["speed"]) == "m/s"


def test_a_column_without_unit_or_meaning_is_named():
    class Config(JobConfig):
        pass

    class Row(JobRow):
        flavour: float = Field(description="how it tastes")
        batch: int

    class Module:
        VERSION = 1

    Module.Config, Module.Row = Config, Row  # pyright: ignore[reportAttributeAccessIssue]
    job = Job("odd", Path("jobs/odd.py"), Module, "0")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UserError, match="columns without meaning or unit: flavour, batch"):
        dictionary.complete(job)


def test_the_stored_schema_is_what_it_was():
    """What a dictionary says besides stands in the tidy file alone: parts keep their bytes."""
    field = store.schema_of(JOBS["stitch"]).field("front_agreement")
    assert field.metadata == {b"description": b"the same of f; null where it answers in other classes"}


@pytest.mark.parametrize("about", ["stitch", "compare", "digits_quickstart", "sweeps/probes_small.yaml"])
def test_a_dictionary_needs_no_results(at_home, about):
    answer = call("results", "dictionary", about)
    assert answer.code == 0
    assert "run_id (text, –)\n      id of the run that measured this row\n" in answer.out


def test_a_dictionary_has_four_forms_of_the_same_columns(at_home):
    names = [one.column for one in dictionary.of(JOBS["train"])]
    markdown = call("results", "dictionary", "train", "--format", "markdown").out
    assert [line.split("`")[1] for line in markdown.splitlines() if line.startswith("| `")] == names
    lines = list(csv.DictReader(io.StringIO(call("results", "dictionary", "train", "--format", "csv").out)))
    assert [line["column"] for line in lines] == names
    assert [one["column"] for one in call("results", "dictionary", "train", "--json").json["columns"]] == names
    text = call("results", "dictionary", "train", "--format", "text").out
    assert all(f"\n  {name} (" in text for name in names)


def test_a_pipe_in_a_meaning_ends_no_cell(at_home):
    markdown = call("results", "dictionary", "stitch", "--format", "markdown").out
    rows = [line for line in markdown.splitlines() if line.startswith("| `")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {6}
    assert any("mean\\|W\\|" in line for line in rows)


def test_an_unknown_name_and_an_unknown_format_are_told(at_home):
    answer = call("results", "dictionary", "stich")
    assert (answer.code, answer.out) == (2, "")
    assert "there is no such sweep" in answer.err
    answer = call("results", "dictionary", "stitch", "--format", "latex")
    assert (answer.code, answer.out) == (2, "")
    assert "unknown format 'latex'" in answer.err


def test_a_dictionary_is_written_and_read_again():
    entries = dictionary.of(JOBS["stitch"])
    assert dictionary.read(json.loads(json.dumps(dictionary.plain(entries)))) == entries

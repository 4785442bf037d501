"""What runs cost, from rows with given seconds: every number here follows from them by hand."""

import time

import numpy as np
import pyarrow as pa
import pytest

from repsim import columns, cost, job, measured, store, tried
from repsim.job import Job
from repsim.measured import Speed

A100, T4 = "NVIDIA A100-SXM4-40GB", "Tesla T4"


@pytest.fixture
def stitch(project) -> Job:
    return job.load(project.jobs, "stitch")


def keep(project, of: Job, name: str, seconds: list[float], gpu: str | None = None, work: float = 2.0, arch: str = "net", **more):
    """One part of rows that took so long."""
    rows = [
        {
            "run_id": f"{name}{index}",
            "outcome": "ok",
            "front_arch": arch,
            "end_arch": arch,
            "dataset": "d",
            "gpu": gpu,
            "device": "cuda" if gpu else "cpu",
            "work": work,
            "run_seconds": each,
            "job": of.name,
            **more,
        }
        for index, each in enumerate(seconds)
    ]
    assert store.publish(project.store, of.name, "d", name, rows, store.schema_of(of))


def config(of: Job, **fields):
    return of.config.model_validate(
        {"front_network": "f", "end_network": "g", "front_layer": "a", "end_layer": "a", "front_arch": "net", "end_arch": "net"}
        | {"dataset": "d"}
        | fields
    )


def rate(project, of: Job, device: str = "cpu", card: str | None = None, **fields):
    return cost.rates(project.store, {of.name: of}, device, card)(of.name, config(of, **fields))


def test_a_rate_is_the_median_and_the_slowest_tenth_of_seconds_per_unit_of_work(project, stitch):
    keep(project, stitch, "some", [float(s) for s in range(2, 22, 2)])  # 2, 4, …, 20 s for 2 units each
    found = rate(project, stitch)
    assert (found.seconds, found.high, found.n, found.source) == (5.5, 10.0, 10, "measured")


def test_the_slowest_tenth_of_few_runs_is_a_third_over_the_median_at_least(project, stitch):
    keep(project, stitch, "one", [8.0])
    assert rate(project, stitch).high == pytest.approx(1.3 * 4.0)
    keep(project, stitch, "two", [20.0])
    assert (rate(project, stitch).seconds, rate(project, stitch).high) == (7.0, 10.0)


def test_runs_of_another_architecture_device_or_card_are_another_kind(project, stitch):
    keep(project, stitch, "small", [4.0], A100)
    keep(project, stitch, "large", [40.0], A100, arch="other")
    keep(project, stitch, "slow", [12.0], T4)
    keep(project, stitch, "cpu", [400.0])
    assert rate(project, stitch, "cuda", A100).seconds == 2.0
    assert rate(project, stitch, "cuda", T4).seconds == 6.0
    assert rate(project, stitch, "cuda", A100, front_arch="other", end_arch="other").seconds == 20.0
    assert rate(project, stitch, "cpu").seconds == 200.0
    pooled = rate(project, stitch, "cuda")
    assert (pooled.seconds, pooled.n, pooled.source) == (4.0, 2, "measured")


def test_what_is_like_a_run_counts_before_a_guess_but_is_called_so(project, stitch):
    assert (rate(project, stitch).seconds, rate(project, stitch).high, rate(project, stitch).source) == (2.0, 6.0, "prior")
    keep(project, stitch, "some", [4.0, 6.0, 8.0])
    found = rate(project, stitch, front_arch="other", end_arch="other")
    assert (found.seconds, found.n, found.source) == (3.0, 3, "similar")
    assert rate(project, stitch, "cuda").source == "prior"


def test_a_card_on_which_a_kind_never_ran_is_judged_by_the_others(project, stitch):
    keep(project, stitch, "fast", [4.0], A100)
    found = rate(project, stitch, "cuda", "NVIDIA H100")
    assert (found.seconds, found.source) == (2.0, "similar")


def test_the_speed_of_a_card_is_from_the_kinds_that_both_did(project, stitch):
    """Twice as slow on one kind, by 3 runs; 8 times on another, by 1: the geometric mean is (8 · 8)^(1/4) = 2^(6/4)."""
    keep(project, stitch, "a", [2.0, 2.0], A100)
    keep(project, stitch, "b", [4.0, 4.0, 4.0], T4)
    keep(project, stitch, "c", [1.0], A100, arch="other")
    keep(project, stitch, "d", [8.0], T4, arch="other")
    keep(project, stitch, "e", [1.0], "NVIDIA L4", arch="alone")
    found = measured.speeds(project.store, {"stitch": stitch}, A100)
    assert found.keys() == {A100, T4}
    assert found[A100] == Speed(1.0, 3)
    assert found[T4].relative == pytest.approx(2**-1.5) and found[T4].n == 4
    assert measured.speeds(project.store, {"stitch": stitch}, "NVIDIA H100") == {}


def test_hours_used_are_those_of_the_rows_that_were_asked_for(project, stitch):
    keep(project, stitch, "some", [900.0, 1800.0, 3600.0])
    assert cost.hours_used(project.store, {"stitch": stitch}, {"some0", "some1", "nobody"}) == 0.75


def test_rows_without_work_or_seconds_measure_nothing(project, stitch):
    keep(project, stitch, "none", [5.0], work=0.0)
    keep(project, stitch, "older", [5.0], work=None)
    assert rate(project, stitch).source == "prior"


def test_columns_are_read_as_they_are_with_nulls_slices_and_chunks():
    texts = pa.chunked_array([["x", None, "y"], ["x"], []], pa.string())
    floats = pa.chunked_array([[1.0, None], [3.0, 4.0]], pa.float64())
    found, values = columns.codes(texts)
    assert [values[code] for code in found] == ["x", None, "y", "x"]
    assert columns.codes(texts.slice(0, 0))[0].tolist() == []
    np.testing.assert_array_equal(columns.numbers(floats), [1.0, np.nan, 3.0, 4.0])
    np.testing.assert_array_equal(columns.numbers(floats.slice(1, 2)), [np.nan, 3.0])
    np.testing.assert_array_equal(columns.numbers(pa.chunked_array([pa.nulls(2, pa.float64())])), [np.nan, np.nan])
    both, rows = columns.together((found, values), columns.codes(pa.chunked_array([pa.nulls(4, pa.string())])))
    assert [rows[code] for code in both] == [("x", None), (None, None), ("y", None), ("x", None)]
    assert columns.sums(np.array([0, 1, 0]), np.array([1.0, np.nan, 2.0]), 3) == [3.0, 0.0, 0.0]


def test_rates_of_a_million_rows_are_found_in_a_moment():
    """A second is half of what a status may take."""
    drawn, count = np.random.default_rng(0), 1_000_000
    kinds, values = drawn.integers(0, 20, count), drawn.uniform(1, 2, count)
    clock = time.process_time()
    found = measured._by_kind([(np.zeros(count, np.int64), [A100, None]), (kinds, [str(k) for k in range(20)])], values)
    assert time.process_time() - clock < 1.0
    assert sum(rate.n for (card, _), rate in found.items() if card) == count
    assert found[A100, ("7",)].seconds == pytest.approx(float(np.median(values[kinds == 7])))


def trial(of: Job, card: str | None = None, seconds: float = 3.0, arch: str = "net", once: float = 7.0) -> tried.Trial:
    device = "cuda" if card else "cpu"
    return tried.Trial(measured.kind_of(of, config(of, front_arch=arch, end_arch=arch)), device, card, seconds, once, 2)


def test_a_dry_run_counts_until_rows_of_the_kind_are_stored(project, stitch):
    def now(**fields):
        return cost.rates(project.store, {"stitch": stitch}, "cpu", cache=project.cache)("stitch", config(stitch, **fields))

    tried.keep(project.cache, stitch, trial(stitch))
    assert (now().seconds, now().once, now().n, now().source) == (3.0, 7.0, 2, "dry-run")
    keep(project, stitch, "other", [100.0], arch="other")
    assert now().source == "dry-run"
    keep(project, stitch, "same", [4.0])
    assert (now().seconds, now().once, now().n, now().source) == (2.0, 0.0, 1, "measured")


def test_a_later_dry_run_replaces_an_earlier_one_and_one_of_an_edited_job_counts_for_nothing(project, stitch):
    tried.keep(project.cache, stitch, trial(stitch, seconds=3.0))
    tried.keep(project.cache, stitch, trial(stitch, seconds=5.0))
    assert [one.seconds for one in tried.trials(project.cache, stitch, "cpu")] == [5.0]
    assert tried.trials(project.cache, stitch, "cuda") == []
    stitch.path.write_text(stitch.path.read_text() + "\n# edited\n")
    assert tried.trials(project.cache, job.load(project.jobs, "stitch"), "cpu") == []


def test_of_several_dry_runs_that_of_the_kind_on_the_card_counts_else_the_slowest(project, stitch):
    known = [trial(stitch, A100, 1.0), trial(stitch, T4, 4.0), trial(stitch, A100, 9.0, arch="other")]
    kind = measured.kind_of(stitch, config(stitch))

    def seconds(*asked) -> float:
        found = tried.rate(known, *asked)
        assert found
        return found.seconds

    assert [seconds(kind, "a100"), seconds(kind, "t4"), seconds(kind, None), seconds(("new",), None)] == [1.0, 4.0, 4.0, 9.0]
    assert tried.rate([], kind, None) is None


def test_a_damaged_or_unwritable_note_of_a_dry_run_harms_nobody(project, stitch):
    tried.keep(project.cache, stitch, trial(stitch))
    (note,) = (project.cache / "dry-runs").glob("*.json")
    for text in ("", "[]", "{}", '{"job": "stitch", "code": 1}', note.read_text().replace('"once"', '"twice"')):
        note.write_text(text)
        assert tried.trials(project.cache, stitch, "cpu") == []
    (project.root / "file").write_text("")
    tried.keep(project.root / "file", stitch, trial(stitch))


def test_the_card_of_a_profile_is_found_by_the_name_slurm_has_for_it(project, stitch):
    keep(project, stitch, "fast", [4.0, 4.0], A100)
    keep(project, stitch, "slow", [12.0], T4)
    assert rate(project, stitch, "cuda", "a100").seconds == 2.0
    assert rate(project, stitch, "cuda", "t4").seconds == 6.0

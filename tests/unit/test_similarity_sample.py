"""Which images a comparison is of, what its numbers may be compared with, and how much memory it may take."""

import pytest
import torch

from repsim.data.images import Images
from repsim.errors import InputError
from repsim.similarity import convention, memory
from repsim.similarity.known import KNOWN
from repsim.similarity.request import Request, Value
from repsim.similarity.sample import Fingerprint, as_bytes, stream

PIXELS = torch.randint(0, 256, (20, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
IMAGES = Images("some", PIXELS, torch.arange(20), 20)


def digest(*parts, labels=True):
    found = Fingerprint()
    for part in parts:
        found.add(part.images, part.labels if labels else None)
    return found.digest()


def cut(*places):
    return [IMAGES.subset(torch.arange(one, other)) for one, other in zip((0, *places), (*places, 20), strict=True)]


def test_a_hash_depends_on_pixels_labels_and_order_and_on_nothing_else():
    whole = digest(IMAGES)
    assert digest(*cut(7, 8)) == digest(*cut(1)) == whole
    changed = PIXELS.clone()
    changed[3, 0, 0, 0] += 1
    others = [
        Images("some", changed, IMAGES.labels, 20),
        IMAGES.subset(torch.arange(20).roll(1)),
        Images("some", PIXELS, IMAGES.labels.roll(1), 20),
        Images("some", PIXELS.reshape(20, 3, 2, 8), IMAGES.labels, 20),
        IMAGES.subset(torch.arange(19)),
    ]
    assert len({whole, *map(digest, others), digest(IMAGES, labels=False)}) == 7


def test_pixels_come_back_from_what_networks_are_given():
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(as_bytes(every / 255), every)


def test_the_stream_is_a_random_order_that_the_seed_decides():
    one, other = stream(IMAGES, None, 0), stream(IMAGES, None, 1)
    assert sorted(one.labels.tolist()) == sorted(other.labels.tolist()) == list(range(20))
    assert one.labels.tolist() not in (list(range(20)), other.labels.tolist())
    assert torch.equal(one.images, PIXELS[one.labels])
    assert torch.equal(stream(IMAGES, 5, 0).labels, one.labels[:5])
    with pytest.raises(InputError, match="cannot take 21 of the 20 images"):
        stream(IMAGES, 21, 0)


def key(measure="cka", front=Value("relu1"), view="flatten", align=None, options=(), images=100, sample="abc"):
    return convention.key(Request(measure, front, Value("relu1"), view, align, options), images, sample)


def test_every_measure_has_a_convention_of_its_own():
    assert convention.ESTIMATORS.keys() == KNOWN.keys()
    assert len({key(measure) for measure in KNOWN}) == len(KNOWN)


def test_a_key_reads_as_a_sentence_and_changes_with_all_that_a_number_depends_on():
    assert key() == "cka · rows centred, HSIC₀ (biased), ratio · view flatten · fp32 products, fp64 sums · n 100 · images abc"
    changes = {"view": "pool", "align": "pool", "options": (("bandwidth", 0.5),), "images": 99, "sample": "abd"}
    others = [key(**{name: value}) for name, value in changes.items()] + [key(front=Value("relu1", 3))]
    assert len({key(), *others}) == 7
    assert key(front=Value("relu2")) == key()


def test_memory_is_that_of_the_machine_or_of_the_container_around_it(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal: 64000 kB\nMemAvailable: 10000 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "OWN", tmp_path / "own")
    monkeypatch.delenv("SLURM_MEM_PER_NODE", raising=False)
    assert memory.budget() == int(memory.SHARE * 10_240_000)
    assert memory.budget(beside=4) == int(memory.SHARE * 10_240_000 / 4)
    for name, text in (("memory.max", "5000000"), ("memory.current", "3000000"), ("memory.stat", "anon 1\ninactive_file 500000\n")):
        (tmp_path / name).write_text(text)
    assert memory.budget() == int(memory.SHARE * 2_500_000)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.budget() == int(memory.SHARE * 10_240_000)
    (tmp_path / "meminfo").unlink()
    assert memory.budget() > 10**6


def test_memory_is_what_slurm_gave_and_what_every_group_around_the_process_leaves(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemAvailable: 10000 kB\n")
    (tmp_path / "own").write_text("1:name=systemd:/\n0::/slurm/job_1/step_0\n")
    (tmp_path / "slurm" / "job_1" / "step_0").mkdir(parents=True)
    for name, path in {"MEMINFO": "meminfo", "CGROUP": ".", "OWN": "own"}.items():
        monkeypatch.setattr(memory, name, tmp_path / path)
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "8")
    assert memory.budget() == int(memory.SHARE * 8 * 2**20)
    for name, text in (("memory.max", "5000000"), ("memory.current", "3000000"), ("memory.stat", "inactive_file 0\n")):
        (tmp_path / "slurm" / "job_1" / name).write_text(text)
    assert memory.budget() == int(memory.SHARE * 2_000_000)
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "0")
    (tmp_path / "slurm" / "job_1" / "memory.max").write_text("max")
    assert memory.budget() == int(memory.SHARE * 10_240_000)

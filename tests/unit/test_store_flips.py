"""A damaged footer: whichever byte of it is wrong, the part gives its rows or is called bad, and the process lives on.

REPSIM_ALL_FLIPS=1 tries every byte; without it, a sample that is drawn by a seed.
"""

import json
import os
import random
import resource
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from repsim import parts, written

READER = """
import json, sys
from pathlib import Path

import pyarrow as pa

from repsim import parts

def once(path, wanted):
    try:
        table = parts.read(path, "square", wanted)
    except parts.BadPart as bad:
        return bad.what
    return "right" if table.equals(good) else f"WRONG: {str(table)[:900]}"

path, flips = Path(sys.argv[1]), json.loads(sys.argv[2])
data = path.read_bytes()
wanted = parts._opened(path).schema_arrow
good = parts.read(path, "square", wanted)
for place, value in flips:
    path.write_bytes(data[:place] + bytes([value]) + data[place + 1 :])
    print(json.dumps([place, value, once(path, wanted)]), flush=True)
"""
MASKS = (0x01, 0x04, 0x11, 0x80, 0xFF)


def tables() -> dict[str, pa.Table]:
    few = {"run_id": ["a", "b"], "square": [1.0, 2.0], "mood": ["good", "bad"]}
    words = random.Random(0)
    ids = [f"{words.getrandbits(64):016x}" for _ in range(6000)]
    return {
        "small": pa.table(few),
        "lists": pa.table({**few, "curve": [[1.0, 2.0], [3.0]]}),
        "large": pa.table({"run_id": ids, "square": [words.random() for _ in ids], "mood": ["good" * 5] * len(ids)}),
    }


def flips(data: bytes) -> list[tuple[int, int]]:
    """Places in the footer, and what stands there instead."""
    end = len(data) - 8
    begin = end - int.from_bytes(data[-8:-4], "little")
    every = [(place, data[place] ^ mask) for place in range(begin, end) for mask in MASKS]
    return every if os.environ.get("REPSIM_ALL_FLIPS") else random.Random(0).sample(every, 100)


def read_in_a_child(path, changed):
    words = [sys.executable, "-c", READER, str(path), json.dumps(changed)]
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # noqa: E731
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=600, preexec_fn=limit)


@pytest.mark.parametrize("kind", ["small", "lists", "large"])
def test_any_wrong_byte_of_a_footer_gives_the_rows_or_a_bad_part_and_never_ends_the_process(tmp_path, kind):
    path = tmp_path / "part.parquet"
    written.write_part(tables()[kind], path)
    assert (path.stat().st_size > parts.SMALL) == (kind == "large")
    changed = flips(path.read_bytes())
    answer = read_in_a_child(path, changed)
    said = [json.loads(line) for line in answer.stdout.splitlines()]
    assert answer.returncode == 0, f"after {said[-1:]}, at {changed[len(said) :][:1]}: {answer.stderr[-900:]}"
    assert len(said) == len(changed)
    assert not [one for one in said if one[2].startswith("WRONG")]
    assert [one for one in said if one[2] == "right"]
    assert [one for one in said if one[2] != "right"]


def varint(number: int, size: int) -> bytes:
    """As Thrift writes a number, in so many bytes, of which the last may say nothing."""
    groups = [(2 * number) >> (7 * index) & 127 for index in range(size)]
    return bytes([group | 128 for group in groups[:-1]] + groups[-1:])


def test_a_footer_that_says_less_than_its_pages_is_not_believed(tmp_path, monkeypatch):
    path, noise = tmp_path / "part.parquet", random.Random(0).randbytes(100_000).hex()
    table = pa.table({"run_id": [noise], "mood": ["x" * (16 << 20)]})
    pq.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False, write_page_checksum=True)
    whole, data = pq.read_metadata(path).row_group(0), path.read_bytes()
    begin = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    footer = data[begin:]
    for honest in (whole.total_byte_size, whole.column(1).total_uncompressed_size):
        assert footer.count(varint(honest, 4)) == 1
        footer = footer.replace(varint(honest, 4), varint(9, 4))
    path.write_bytes(data[:begin] + footer)
    assert pq.read_metadata(path).row_group(0).total_byte_size == 9
    read: list[str] = []
    monkeypatch.setattr(parts, "_rows", lambda *_: read.append("all of it"))
    monkeypatch.setattr(parts, "MAX_BYTES", 8 << 20)
    with pytest.raises(parts.BadPart, match=r"column mood claims 16,777,\d+ bytes in 1 values"):
        parts.read(path, "square", table.schema)
    assert not read

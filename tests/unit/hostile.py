"""Owns files that a stranger, a crash or a bad disk may leave among the parts; each is made from the bytes of a good part."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

MEBI = 1 << 20


def _write(path: Path, columns: dict, **options) -> None:
    pq.write_table(pa.table(columns), path, **options)


def _flip(path: Path, good: bytes) -> None:
    middle = good.index(b"PAR1") + 4
    path.write_bytes(good[:middle] + bytes(255 - byte for byte in good[middle : middle + 200]) + good[middle + 200 :])


def _one_bit(path: Path, good: bytes) -> None:
    """In the data of the first page, behind its header, where only the sum over the page tells."""
    place = good.index(b"(\xb5/\xfd") + 12  # zstd's magic number
    path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])


def _sparse(path: Path, good: bytes) -> None:
    """A file of 10 GB that takes no room: nobody may read it as a whole to find out."""
    with path.open("wb") as file:
        file.write(good)
        file.truncate(10 << 30)


def _footer_of_gigabytes(path: Path, good: bytes) -> None:
    with path.open("wb") as file:
        file.write(good)
        file.seek((5 << 30) - 8)
        file.write(struct.pack("<I", (4 << 30) - 1) + b"PAR1")


def _linked(path: Path, good: bytes) -> None:
    outside = path.parents[2].with_name("outside.parquet")
    outside.write_bytes(good)
    path.symlink_to(outside)


def _repeated_text(path: Path, good: bytes, name: str = "mood") -> None:
    """A text of 1 MB for each of 50,000 rows, written once: 50 GB in a file of some kB."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 50_000, pa.int32()), pa.array(["x" * MEBI]))
    ids = {"run_id": [f"r{i}" for i in range(50_000)]}
    _write(path, {**ids, name: texts}, store_schema=False, dictionary_pagesize_limit=16 * MEBI, compression="zstd")


def _pickled(path: Path, good: bytes) -> None:
    """A column whose type asks to be unpickled, as Arrow once did by itself; what would run makes a file."""
    bomb = f"cos\nsystem\n(S'touch {path.parent}/EXECUTED'\ntR.".encode()
    said = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": bomb}
    schema = pa.schema([pa.field("run_id", pa.string()), pa.field("square", pa.binary(), metadata=said)])
    pq.write_table(pa.Table.from_arrays([pa.array(["x"]), pa.array([b"1"])], schema=schema), path)


def _deep(path: Path, good: bytes) -> None:
    kind = pa.string()
    for _ in range(500):
        kind = pa.struct([("a", kind)])
    pq.write_table(pa.table({"run_id": pa.nulls(1, kind)}), path)


HOSTILE: dict[str, tuple[Callable[[Path, bytes], object], str]] = {
    "text": (lambda path, good: path.write_bytes(b"not parquet\n" * 9), "damaged"),
    "empty": (lambda path, good: path.write_bytes(b""), "damaged"),
    "magic_only": (lambda path, good: path.write_bytes(b"PAR1PAR1"), "damaged"),
    "truncated": (lambda path, good: path.write_bytes(good[:-20]), "damaged"),
    "half": (lambda path, good: path.write_bytes(good[: len(good) // 2]), "damaged"),
    "flipped": (_flip, "damaged"),
    "one_bit": (_one_bit, "damaged"),
    "noise_in_the_footer": (lambda path, good: path.write_bytes(good[:-200] + b"\xff" * 150 + good[-50:]), "damaged"),
    "encrypted": (lambda path, good: path.write_bytes(good[:-4] + b"PARE"), "damaged"),
    "sparse": (_sparse, "damaged"),
    "footer_of_gigabytes": (_footer_of_gigabytes, "its footer claims"),
    "words_for_numbers": (
        lambda path, good: _write(path, {"run_id": ["b"], "square": ["nine"]}),
        "square holds string",
    ),
    "numbers_for_ids": (lambda path, good: _write(path, {"run_id": [1], "square": [9.0]}), "run_id holds int64, not string"),
    "no_ids": (lambda path, good: _write(path, {"square": [9.0]}), "no column run_id"),
    "null_ids": (lambda path, good: _write(path, {"run_id": pa.nulls(2, pa.string())}), "name no run"),
    "ids_that_lead_out": (lambda path, good: _write(path, {"run_id": ["../../x"]}), "name what is no run"),
    "bytes_for_text": (lambda path, good: _write(path, {"run_id": pa.array([b"\xff\xfe"]).view(pa.string())}), "damaged"),
    "text_for_each_row": (_repeated_text, "would unpack"),
    "id_for_each_row": (lambda path, good: _write_same_ids(path), "would unpack"),
    "deep": (_deep, "too deeply nested"),
    "pickled": (_pickled, "square holds binary"),
    "link": (_linked, "a link"),
    "dangling_link": (lambda path, good: path.symlink_to("/nowhere/at/all"), "a link"),
    "link_to_itself": (lambda path, good: path.symlink_to(path), "a link"),
    "link_to_a_device": (lambda path, good: path.symlink_to("/dev/zero"), "a link"),
    "pipe": (lambda path, good: os.mkfifo(path), "a pipe"),
    "folder": (lambda path, good: path.mkdir(), "a folder"),
}
"""Name → how such a file is made at a path, given the bytes of a good part, and what is said of it."""


def _write_same_ids(path: Path) -> None:
    ids = pa.DictionaryArray.from_arrays(pa.array([0] * 50_000, pa.int32()), pa.array(["x" * MEBI]))
    _write(path, {"run_id": ids}, store_schema=False, dictionary_pagesize_limit=16 * MEBI, compression="zstd")

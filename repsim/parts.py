"""Owns reading one part, whoever wrote it: what cannot be a part of this store is refused before anything of it is allocated.

A part is judged in the order of what looking costs: what it is on disk (a plain file, never a link), its footer (sizes and counts
claimed, types of columns), its pages (checksums, text). Arrow reads numbers and text only: nothing in a file is ever executed.
"""

import base64
import errno
import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repsim.claims import Chunk, chunks
from repsim.errors import PASSING, DiskError, InputError
from repsim.schema import KEY, source, widens
from repsim.vectors import Wanted, any_matches, unpacked_bytes

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MAX_FOOTER = 64 << 20  # bytes; a merged part of 100 columns has some 100 kB
MAX_ELEMENTS = 4096  # columns, row groups, or names in any list of a footer
MAX_ROWS = 20_000_000
MAX_VALUES = 1 << 28  # numbers in one column of a part, lists unrolled: 2 GB
MAX_BYTES = 2 << 30  # of one column of a part, unpacked
WIDE_BYTES = 64 << 20  # text that may be wider than this once repeated values are written out is measured first
SMALL = 64 << 10  # bytes of a file that is trusted with what its footer claims: zstd makes 2 GB of it at most
ENCODINGS = {"PLAIN", "RLE", "BIT_PACKED", "PLAIN_DICTIONARY", "RLE_DICTIONARY"}
"""Those whose unpacked size the footer bounds; Arrow writes no others of itself."""
BUSY = PASSING | {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.ETIMEDOUT, errno.EAGAIN}
"""What says nothing about the file: counting its runs as missing would compute them again."""
ADVICE = "its rows are left out; see: repsim results check"
KINDS = {stat.S_IFLNK: "a link, and links in the store are never followed", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe"}


class BadPart(InputError):
    """A file among the parts that cannot be read as one: `what` says why, `where` is its path."""

    seen: os.stat_result | None = None  # the file that was judged: another may take its name

    @property
    def path(self) -> Path:
        return Path(self.where or "")

    @property
    def movable(self) -> bool:
        """Not so for a part that is only not ours to read."""
        return not self.what.startswith(os.strerror(errno.EACCES))


def read(path: Path, job: str, wanted: "pa.Schema", ids: Wanted | None = None) -> "pa.Table":
    """Those columns of `wanted` that the part has, as the types of today; only the rows of `ids`, if given.

    Text that `wanted` has as a dictionary is never written out.

    Raises BadPart for a file that is no such part, FileNotFoundError where it is gone (merged meanwhile, say), and DiskError
    where the disk, and not the file, is at fault.
    """
    import pyarrow as pa

    seen = path.lstat()
    try:
        _must_be_plain(path, seen)
        with _opened(path) as part:
            names = _names(part, job, wanted)
            wide = _wide(path, part, list(names.values()))
            coded = [held for name, held in names.items() if pa.types.is_dictionary(wanted.field(name).type)]
            if not wide and not coded:
                return _rows(part, names, wanted, ids)
        with _opened(path, metadata=part.metadata, read_dictionary=[*wide, *coded]) as part:
            return _rows(part, names, wanted, ids)
    except (FileNotFoundError, MemoryError):
        raise
    except (BadPart, pa.ArrowException, OSError, ValueError) as error:
        raise _judged(path, error, seen) from None


def has_more(path: Path, job: str, known: "pa.Schema") -> bool:
    """Whether a good part has columns that are not known here, as one of a newer version does."""
    with _opened(path) as part:
        there = part.schema_arrow.names
    return not set(there) <= {source(job, name, there) for name in known.names}


def said(path: Path, key: bytes) -> bytes:
    """What the footer says under `key`; raises as `read` does, and BadPart where it says nothing."""
    import pyarrow as pa

    try:
        _must_be_plain(path, path.lstat())
        with _opened(path) as part:
            return part.metadata.metadata[key]
    except (KeyError, TypeError):
        raise BadPart(f"its footer says nothing of {key.decode()}", where=str(path)) from None
    except (pa.ArrowException, OSError) as error:
        raise BadPart(f"it is damaged: {error}", where=str(path)) from None


def _judged(path: Path, error: Exception, seen: os.stat_result) -> InputError | DiskError:
    """BadPart where the file is at fault, DiskError where the disk or this process is, maybe only now."""
    code = error.errno if isinstance(error, OSError) else None
    if code in BUSY:
        return DiskError(f"cannot be read now: {os.strerror(code)}", where=str(path), do="try again once the disk is back")
    damage = os.strerror(code) if code else f"it is damaged: {(str(error).splitlines() or ['no message'])[0]:.160}"
    bad = BadPart(error.what if isinstance(error, BadPart) else damage, where=str(path), do=ADVICE)
    bad.seen = seen
    return bad


def _opened(path: Path, **options: Any) -> "pq.ParquetFile":
    import pyarrow.parquet as pq

    return pq.ParquetFile(
        path,
        thrift_string_size_limit=MAX_FOOTER,
        thrift_container_size_limit=MAX_ELEMENTS,
        page_checksum_verification=True,
        **options,
    )


def footer(path: Path) -> bytes:
    """The bytes of the footer as they lie there. BadPart for what can have none; OSError where it cannot be read."""
    _must_be_plain(path, path.lstat())
    with path.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - min(length, MAX_FOOTER), os.SEEK_END)
        return file.read(length)


def _must_be_plain(path: Path, there: os.stat_result) -> None:
    """Raise BadPart for what is no file of its own, and for a footer that would fill the memory."""
    if not stat.S_ISREG(there.st_mode):
        raise BadPart(f"it is {KINDS.get(stat.S_IFMT(there.st_mode), 'no plain file')}")
    if there.st_size < MAX_FOOTER:
        return
    with path.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        if int.from_bytes(file.read(4), "little") > MAX_FOOTER:
            raise BadPart("its footer claims to be larger than any can be")


def _names(part: "pq.ParquetFile", job: str, wanted: "pa.Schema") -> dict[str, str]:
    """Column today → column of the part; BadPart where a type cannot be read as that of today."""
    there = part.schema_arrow
    if len(set(there.names)) < len(there.names):
        raise BadPart("two of its columns have one name")
    _must_be_named_alike(part)
    found = {name: held for name in wanted.names if (held := source(job, name, there.names))}
    if KEY not in found:
        raise BadPart(f"it has no column {KEY}")
    for name, held in found.items():
        old, new = there.field(held).type, wanted.field(name).type
        if not widens(old, new):
            raise BadPart(f"its column {held} holds {old!s:.60}, not {new}")
    return found


def _must_be_named_alike(part: "pq.ParquetFile") -> None:
    """BadPart where a name stands otherwise in the schema that Arrow wrote beside Parquet's: no sum is kept over a footer."""
    written = base64.b64decode((part.metadata.metadata or {}).get(b"ARROW:schema", b""))
    odd = [name for name in part.schema_arrow.names if written and name.encode() not in written]
    if odd:
        raise BadPart(f"its footer does not agree with itself on column {odd[0]:.60}")


def _wide(path: Path, part: "pq.ParquetFile", held: list[str]) -> list[str]:
    """Columns of text whose size the footer does not bound, as values may be repeated; BadPart for what is too large."""
    import pyarrow as pa

    said = part.metadata
    groups = [said.row_group(index) for index in range(said.num_row_groups)]
    if said.num_rows > MAX_ROWS or sum(group.num_rows for group in groups) != said.num_rows:
        raise BadPart(f"it claims {said.num_rows:,} rows")
    lists = any(pa.types.is_nested(part.schema_arrow.field(name).type) for name in held)
    claimed = sum(group.total_byte_size for group in groups) * max(1, said.num_rows)
    if not lists and path.stat().st_size <= SMALL and 0 <= claimed <= WIDE_BYTES:
        return []  # most parts are small, and following each page takes longer than reading it
    leaf = {said.schema.column(index).path.split(".")[0]: index for index in range(said.num_columns)}
    found = chunks(path, footer(path), [leaf[name] for name in held])
    return [name for name in held if _is_wide(name, found[leaf[name]])]


def _is_wide(name: str, found: list[Chunk]) -> bool:
    size, values = sum(chunk.bytes for chunk in found), sum(chunk.values for chunk in found)
    if size > MAX_BYTES or values > MAX_VALUES:
        raise BadPart(f"its column {name} claims {size:,} bytes in {values:,} values")
    odd = frozenset().union(*(chunk.encodings for chunk in found)) - ENCODINGS
    if odd:
        raise BadPart(f"its column {name} is encoded as {', '.join(sorted(odd))}")
    text = any(chunk.text and chunk.dictionary for chunk in found)
    return text and sum(chunk.bytes * chunk.values for chunk in found) > WIDE_BYTES


def _rows(part: "pq.ParquetFile", names: dict[str, str], wanted: "pa.Schema", ids: Wanted | None) -> "pa.Table":
    import pyarrow as pa

    keep = None if ids is None else ids.rows(narrow(part.read([names[KEY]], use_threads=False))[names[KEY]])
    if keep is not None and len(keep) == 0:
        return pa.Table.from_batches([], _only(wanted, names))
    table = part.read(list(names.values()), use_threads=False).select(list(names.values())).rename_columns(list(names))
    table = narrow(table, [name for name in names if not pa.types.is_dictionary(wanted.field(name).type)])
    table.validate(full=True)
    table = table if keep is None or len(keep) == len(table) else table.take(keep)
    table = table.cast(_only(wanted, names))
    _must_name_runs(table[KEY])
    return table


def _only(schema: "pa.Schema", names: Collection[str]) -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([schema.field(name) for name in names])


def narrow(table: "pa.Table", names: Collection[str] | None = None) -> "pa.Table":
    """`table` with its text, or that of some columns, written out; BadPart where that would fill the memory."""
    import pyarrow as pa

    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type) and (names is None or field.name in names):
            if unpacked_bytes(table[index]) > MAX_BYTES:
                raise BadPart(f"its column {field.name} would unpack to more than {MAX_BYTES:,} bytes")
            table = table.set_column(index, field.with_type(field.type.value_type), table[index].cast(field.type.value_type))
    return table


def _must_name_runs(ids: Any) -> None:
    """BadPart for rows of no run, and for an id that would lead out of the folder of its artefacts."""
    if ids.null_count:
        raise BadPart("some of its rows name no run")
    if any_matches(ids, "match_substring", "/") or any_matches(ids, "starts_with", "."):
        raise BadPart("some of its rows name what is no run")

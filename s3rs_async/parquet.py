"""Record batches into one parquet file, given away piece by piece while it grows.

What Redshift's COPY needs is fixed here: microsecond timestamps, decimals in fixed-length bytes, no
unsigned and no foreign types (the source's type map saw to that), and no metadata but our own keys:
v1 leaked Arrow's and S3's into files that Redshift then refused. Decimals have as many bytes as
their digits need, never an integer's: a DECIMAL in four bytes is one that COPY may refuse.
Dictionaries are for text only; on numbers they cost twice the CPU and make files larger. They are
also given up early: a text that does not repeat makes a dictionary of all its values, which is
slower to make and packs worse than they do. Statistics are for the columns by which rows are looked
for, cursor and key; COPY reads none.

The file never sits whole in memory: `take` hands out what is ready for upload. Everything here is
CPU work and belongs on a thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

_LEVELS = {"zstd": 1, "snappy": None}
_LARGEST_DICTIONARY = 1 << 17  # bytes; of a column of a row group


class _Sink:
    """A file that only grows and forgets what was taken from its head."""

    closed = False

    def __init__(self) -> None:
        self.size = 0
        self.ready = 0
        self._pieces: deque[memoryview] = deque()

    def write(self, data: bytes) -> int:
        self._pieces.append(memoryview(bytes(data)))
        self.size += len(data)
        self.ready += len(data)
        return len(data)

    def take(self, size: int) -> bytes:
        """So many bytes of those that are ready, copied once."""
        taken: list[memoryview] = []
        self.ready -= size
        while size:
            piece = self._pieces.popleft()
            if len(piece) > size:
                self._pieces.appendleft(piece[size:])
                piece = piece[:size]
            taken.append(piece)
            size -= len(piece)
        return b"".join(taken)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True, slots=True)
class Form:
    """What is one's own choice in a file: our keys, how it is packed, what is looked for in it."""

    metadata: Mapping[str, str] = field(default_factory=dict)
    compression: str = "zstd"
    sought: tuple[str, ...] = ()


class ParquetFile:
    """One file under way; every method blocks."""

    def __init__(self, schema: pa.Schema, form: Form) -> None:
        self.rows = 0
        self._metadata = dict(form.metadata)
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._sink, "w"),
            schema,
            compression=form.compression,
            compression_level=_LEVELS[form.compression],
            use_dictionary=[field.name for field in schema if pa.types.is_string(field.type)],
            dictionary_pagesize_limit=_LARGEST_DICTIONARY,
            write_statistics=[name for name in schema.names if name in form.sought] or False,
            coerce_timestamps="us",
            store_schema=False,
        )

    @property
    def size(self) -> int:
        """Bytes written so far, taken or not."""
        return self._sink.size

    def write(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Append the batches as one row group."""
        table = pa.Table.from_batches(batches)
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        self.rows += table.num_rows

    def finish(self) -> None:
        """Write the footer; after it only `take` and `rest` make sense."""
        self._writer.add_key_value_metadata(self._metadata)
        self._writer.close()

    def take(self, size: int) -> list[bytes]:
        """All whole pieces of `size` bytes that are ready."""
        return [self._sink.take(size) for _ in range(self._sink.ready // size)]

    def rest(self) -> list[bytes]:
        """What is left after the last `take` of a finished file: one piece or none."""
        return [self._sink.take(self._sink.ready)] if self._sink.ready else []

"""Record batches into one parquet file, given away piece by piece while it grows.

What Redshift's COPY needs is fixed here: microsecond timestamps, decimals in fixed-length bytes, no
unsigned and no foreign types (the source's type map saw to that), and no metadata but our own keys:
v1 leaked Arrow's and S3's into files that Redshift then refused. Dictionaries are for text only; on
numbers they cost twice the CPU and make files larger.

The file never sits whole in memory: `take` hands out what is ready for upload. Everything here is
CPU work and belongs on a thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq


class _Sink:
    """A file that only grows and forgets what was taken from its head."""

    closed = False

    def __init__(self) -> None:
        self.ready = bytearray()
        self.size = 0

    def write(self, data: bytes) -> int:
        view = memoryview(data).cast("B")
        self.ready += view
        self.size += len(view)
        return len(view)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True


class ParquetFile:
    """One file under way; every method blocks."""

    def __init__(self, schema: pa.Schema, metadata: Mapping[str, str]) -> None:
        self.rows = 0
        self._metadata = dict(metadata)
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._sink, "w"),
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=[field.name for field in schema if pa.types.is_string(field.type)],
            write_statistics=False,
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
        ready = self._sink.ready
        whole = len(ready) // size * size
        with memoryview(ready) as view:
            pieces = [bytes(view[start : start + size]) for start in range(0, whole, size)]
        del ready[:whole]
        return pieces

    def rest(self) -> list[bytes]:
        """What is left after the last `take` of a finished file: one piece or none."""
        return [bytes(self._sink.ready)] if self._sink.ready else []

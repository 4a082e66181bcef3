"""Writes what became of the inputs of a batch, a row each, as JSON lines or Parquet."""

import io
import json
from collections.abc import Sequence
from typing import Any

from aeedge.cli.batch.jobs import Outcome
from aeedge_runtime.remote import Location, write_location

COLUMNS = {
    "input": "string",
    "status": "string",
    "output": "string",
    "images": "int64",
    "width": "int64",
    "height": "int64",
    "quality": "int64",
    "bytes": "int64",
    "bits_per_pixel": "float64",
    "tiles": "int64",
    "stored_tiles": "int64",
    "max_error": "int64",
    "verified": "bool",
    "error": "string",
    "exit_code": "int64",
}
"""Columns of a Parquet file with their types; null where they do not apply."""


def write_manifest(path: Location, outcomes: Sequence[Outcome]) -> None:
    """Write the outcomes in the order of the inputs, in place of an earlier manifest.

    Args:
        path: ends in .jsonl or .parquet.
        outcomes: what became of the inputs.

    Raises:
        ImportError: PyArrow, which Parquet needs, is not installed.
        OSError: it cannot be written.
    """
    rows = [outcome.to_json() for outcome in outcomes]
    data = _parquet(rows) if path.suffix == ".parquet" else "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_location(path, data, overwrite=True)


def _parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    fields = [pyarrow.field(name, pyarrow.type_for_alias(kind)) for name, kind in COLUMNS.items()]
    fields.append(pyarrow.field("warnings", pyarrow.list_(pyarrow.string())))
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows), pyarrow.schema(fields)), buffer)
    return buffer.getvalue()

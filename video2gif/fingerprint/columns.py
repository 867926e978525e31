"""Arrays that grow on disk, row by row, and then become an item's payload.

An hour of video gives some fifty megabytes of columns. They are collected in unnamed files beside
the result, so that the memory a process needs does not depend on the length of the video.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

# Names of dtypes in https://github.com/huggingface/safetensors#format.
_DTYPES = {"float64": "F64", "uint64": "U64", "float32": "F32", "uint8": "U8"}


class Columns:
    """Named arrays of equal length, in temporary files in `folder` until `files` is closed."""

    def __init__(self, folder: Path, files: ExitStack) -> None:
        self._folder = folder
        self._files = files
        self._columns: dict[str, tuple[IO[bytes], np.dtype, tuple[int, ...]]] = {}
        self.n_rows = 0

    def append(self, block: Mapping[str, np.ndarray]) -> None:
        """Add some rows to every column: the same names, dtypes and row shapes each time."""
        for name, array in block.items():
            if name not in self._columns:
                file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed with `files`
                self._files.enter_context(file)
                self._columns[name] = (file, array.dtype, array.shape[1:])
            self._columns[name][0].write(np.ascontiguousarray(array).data)
        self.n_rows += len(next(iter(block.values())))

    def write(self, out: Path, notes: Mapping[str, Any]) -> None:
        """Write to `out` the same bytes as `store.write_arrays` would for the whole arrays."""
        header: dict[str, Any] = {"__metadata__": {"notes": json.dumps(notes, sort_keys=True)}}
        end = 0
        # safetensors wants arrays aligned to their dtype: columns with wide numbers come first.
        order = sorted(self._columns.items(), key=lambda item: (-item[1][1].itemsize, item[0]))
        for name, (_, dtype, shape) in order:
            start, end = end, end + self.n_rows * dtype.itemsize * int(np.prod(shape))
            header[name] = {
                "dtype": _DTYPES[dtype.name],
                "shape": [self.n_rows, *shape],
                "data_offsets": [start, end],
            }
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        with out.open("wb") as target:
            target.write(len(text).to_bytes(8, "little") + text)
            for _, (file, _, _) in order:
                file.seek(0)
                shutil.copyfileobj(file, target)

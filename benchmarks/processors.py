"""Other processors, as far as the libraries of this one can be told to play them.

Each library chooses its instructions when it starts and can be told which not to use; children
inherit what they are told through the environment. All are processors on which numpy itself runs
(x86-64-v2: SSE4.2). What no setting can show is a processor with *more* than this one has.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

_SSE42 = 0x1 | 0x2 | 0x8 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200  # libavutil/cpu.h: MMX … SSE4.2
_NO_AVX = "AVX,FP16,AVX2,FMA3"
_AV_FLAGS = "VIDEO2GIF_AV_CPU_FLAGS"

NUMPY = {"NPY_DISABLE_CPU_FEATURES": "X86_V3"}
OPENBLAS = {"OPENBLAS_CORETYPE": "Nehalem"}
TORCH = {
    "ATEN_CPU_CAPABILITY": "default",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "SSE4_2",
}
OPENCV = {"OPENCV_CPU_DISABLE": _NO_AVX, "OPENCV_IPP": "sse42"}
LIBAV = {_AV_FLAGS: str(_SSE42)}
LIBM = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-FMA4"}
NUMBA = {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": ""}

PROCESSORS: Mapping[str, Mapping[str, str]] = {
    "numpy": NUMPY,
    "OpenBLAS Nehalem": OPENBLAS,
    "OpenBLAS Sandybridge": {"OPENBLAS_CORETYPE": "Sandybridge"},
    "OpenBLAS Zen": {"OPENBLAS_CORETYPE": "Zen"},
    "torch": TORCH,
    "OpenCV": OPENCV,
    "OpenCV without IPP": {"OPENCV_IPP": "disabled"},
    "libav": LIBAV,
    "libm": LIBM,
    "numba": NUMBA,
    "all of them": NUMPY | OPENBLAS | TORCH | OPENCV | LIBAV | LIBM | NUMBA,
}
"""By name, what the libraries are told. `libav` is libswscale's and libavcodec's own flag; x264 has
none, it is told to choose nothing by processor (media/encode.py)."""


def prepare(folder: Path) -> Path:
    """A folder for PYTHONPATH whose sitecustomize tells libav, which reads no environment."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(
        textwrap.dedent(f"""
            import ctypes, glob, os, sys
            flags = os.environ.get("{_AV_FLAGS}")
            for path in glob.glob(f"{{sys.prefix}}/lib/python*/site-packages/av.libs/libavutil*"):
                if flags:
                    ctypes.CDLL(path).av_force_cpu_flags(int(flags))
        """)
    )
    return folder


@dataclass(frozen=True)
class Floats:
    """What a run computed in floats."""

    features: dict[str, np.ndarray]
    """float64, by the file's path."""
    scores: pd.DataFrame
    """The ranker's, sorted by video and segment."""

    @classmethod
    def of(cls, root: Path) -> "Floats":
        files = sorted((root / "data" / "features").rglob("*.npy"))
        scores = pd.read_parquet(root / "data" / "predictions.parquet")
        return cls(
            {f.relative_to(root).as_posix(): np.load(f).astype(np.float64) for f in files},
            scores.sort_values(["video_id", "segment_id"], ignore_index=True),
        )

    def beside(self, other: "Floats") -> str:
        """The largest relative differences, and in how many videos the rankings are equal."""
        apart = [_apart(a, other.features[name]) for name, a in self.features.items()]
        ours, theirs = self.scores["score"].to_numpy(), other.scores["score"].to_numpy()
        ranked = [
            np.argsort(-ours[rows], kind="stable").tolist()
            == np.argsort(-theirs[rows], kind="stable").tolist()
            for rows in self.scores.groupby("video_id").indices.values()
        ]
        return (
            f"features {max(apart, default=0.0):.1e}, scores {_apart(ours, theirs):.1e},"
            f" rankings equal in {sum(ranked)} of {len(ranked)} videos"
        )


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, as a share of the largest value."""
    return float(
        np.nanmax(np.abs(a - b), initial=0.0) / max(np.nanmax(np.abs(a), initial=0.0), 1e-30)
    )

"""Every error this project raises on purpose, and the exit code each ends with.

Two families: a `UserError` stops the command and says what to change; an `ItemError` is about
one item only, becomes a quarantine row, and never stops a run.
"""

import errno
from enum import IntEnum

DISK_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""A full or read-only disk: no item's fault."""


class Exit(IntEnum):
    """Exit codes of the command line (130 and 143 come from SIGINT and SIGTERM)."""

    CLEAN = 0
    USAGE = 2
    QUARANTINED = 3
    TOO_MANY_FAILED = 4
    ENVIRONMENT = 5


class Video2GifError(Exception):
    """Root of the family; `exit_code` is what the command line returns for it."""

    exit_code = Exit.ENVIRONMENT


class UserError(Video2GifError):
    """A wrong argument, parameter or manifest: the message names value, limit and remedy."""

    exit_code = Exit.USAGE


class EnvironmentProblem(Video2GifError):
    """The machine, a folder or a stored file is not as it must be (exit 5)."""


class TooManyFailed(Video2GifError):
    """More items of a stage failed than `max_failed_fraction` allows (exit 4)."""

    exit_code = Exit.TOO_MANY_FAILED


_EXTRAS = {
    "torch": "torch",
    "openvino": "openvino",
    **dict.fromkeys(("PIL", "pillow", "yt_dlp"), "web"),
    "distributed": "dask",
    "ray": "ray",
    **dict.fromkeys(("pandas", "pyarrow", "scipy", "numba", "sklearn", "prefect"), "pipeline"),
}


def install_line(extra: str) -> str:
    """What a person types to have an extra of pyproject.toml."""
    return f"pip install 'video2gif[{extra}]'"


def missing_package(error: ImportError) -> EnvironmentProblem | None:
    """What to install, for an import that failed for want of an extra; None for any other.

    `pip install video2gif` brings what makes GIFs; training and tables, for one, are extras.
    """
    package = (error.name or "").partition(".")[0]
    if package not in _EXTRAS:
        return None
    return EnvironmentProblem(
        f"this needs {package}, which is not installed: {install_line(_EXTRAS[package])}"
    )


class ItemError(Video2GifError):
    """One item cannot be processed. `cause` is a short stable word for tables and tests.

    Causes in use: empty, not_media, truncated, no_frames, no_video, codec, too_large, bad_id,
    conflict, missing, http, refused, timeout, oom, crash, stopped, decode, overflow, receipt,
    label, row, extra (a package is missing).
    """

    exit_code = Exit.QUARANTINED

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause

    @property
    def message(self) -> str:
        """What happened, on one line."""
        return " ".join(str(self).split())

    @property
    def reason(self) -> str:
        """`cause: message` on one line, as it stands in quarantine tables."""
        return f"{self.cause}: {self.message}"

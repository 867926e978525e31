"""The child of a `Worker`: it confines itself, then does one job after the other.

Started as `python -m video2gif.core.child SETTINGS`. Each line on standard input is a job; each
line on standard output says how it went. Nothing but JSON crosses, so that a hijacked child cannot
feed pickles to its parent.
"""

import ctypes
import errno
import gc
import importlib
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

from video2gif.core.confine import confine
from video2gif.core.errors import ItemError, missing_package

_PR_SET_PDEATHSIG = 1
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def main() -> None:
    """Limits and confinement first, then jobs until standard input ends."""
    settings = json.loads(sys.argv[1])
    # A killed parent cannot end its children, so the kernel does.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle.
    # Address space, as Linux ignores limits on resident memory. No core dumps: a decoder that a
    # hostile file crashes would leave gigabytes on the disk each time.
    for limit, value in (
        (resource.RLIMIT_AS, settings["memory_bytes"]),
        (resource.RLIMIT_FSIZE, settings["disk_bytes"]),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    folder = Path(settings["folder"])
    # Libraries put their temporary files there; no other folder can be written to from here on.
    os.environ["TMPDIR"] = str(folder)
    if settings["door"] is not None:
        from video2gif.core import egress  # Few children need it, and all would pay its imports.

        egress.go_through(settings["door"])
    # Last, as it forbids most of what stands above.
    confine(folder, frozenset(settings["needs"]))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Libraries that print must not break the protocol.
    _serve(sys.stdin.buffer, answers)


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    for number, request in enumerate(requests):
        answers.write(json.dumps(_answer(request)).encode() + b"\n")
        answers.flush()
        # A few objects in a reference cycle can hold hundreds of megabytes of frames. Python's
        # collector starts by the number of objects, so a few do not start it: it is called here.
        # What the first job imported stays; it need not be looked through each time.
        gc.collect()
        if not number:
            gc.freeze()


def _answer(request: bytes) -> dict[str, Any]:
    """Do one job and say how it went."""
    job = json.loads(request)
    module, _, function = job["work"].partition(":")
    try:
        getattr(importlib.import_module(module), function)(out=Path(job["out"]), **job["args"])
    except ItemError as error:
        return _failed(error.cause, str(error))
    except MemoryError as error:
        return _failed("oom", f"out of memory: {_said(error)}")
    except OSError as error:
        return _failed(_cause(error), f"{type(error).__name__}: {_said(error)}")
    except ImportError as error:
        wanted = missing_package(error)
        return _failed(
            *("extra", str(wanted)) if wanted else ("crash", f"ImportError: {_said(error)}")
        )
    except Exception as error:
        # Some libraries say in words that memory was lacking, and raise another type.
        if "ENOMEM" in str(error) or "Cannot allocate memory" in str(error):
            return _failed("oom", _said(error))
        return _failed("crash", f"{type(error).__name__}: {_said(error)}")
    return {"ok": True}


def _cause(error: OSError) -> str:
    # Not EROFS: to a confined child all but its own folder is read-only.
    if error.errno in _FULL:
        return "disk"
    return {errno.ENOMEM: "oom", errno.EFBIG: "too_large"}.get(error.errno or 0, "crash")


def _failed(cause: str, message: str) -> dict[str, Any]:
    return {"ok": False, "cause": cause, "message": message}


def _said(error: Exception) -> str:
    """What an error says, without the path: it differs between clones, and stands in tables."""
    return getattr(error, "strerror", None) or str(error)


if __name__ == "__main__":
    main()

"""Landlock: this process and its threads write below one folder only, and start no program.

Any user may ask for it, no daemon is needed (https://docs.kernel.org/userspace-api/landlock.html).
The kernel tells which version of the interface (ABI) it has; each version knows more rights:

| ABI | Linux | adds |
|---|---|---|
| 1 | 5.13 | 13 rights on files |
| 2 | 5.19 | moving files between folders |
| 3 | 6.2 | cutting files short |
| 4 | 6.7 | TCP: bind and connect |
| 5 | 6.10 | ioctl on devices |
| 6 | 6.12 | signals and abstract unix sockets |
| 7, 8 | 6.15, 7.0 | flags of the last call, which are not used here |
"""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

from video2gif.core.confine.calls import libc, syscall

NEWEST = 8
"""The last version that this module was written for."""

# From linux/landlock.h and linux/prctl.h; the calls' numbers are the same on all machines.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PR_SET_NO_NEW_PRIVS = 38
_ASK_VERSION, _PATH_BENEATH = 1, 1

_EXECUTE, _WRITE_FILE, _READ = 1 << 0, 1 << 1, 1 << 2 | 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_ON_A_FILE = _WRITE_FILE | _TRUNCATE | _IOCTL_DEV
# How many rights on files each version knows, and how many bytes of the ruleset it reads.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16, 6: 16, 7: 16, 8: 16}
_RULESET_BYTES = {1: 8, 2: 8, 3: 8, 4: 16, 5: 16, 6: 24, 7: 24, 8: 24}
_TCP, _SCOPES = 0b11, 0b11


class Ruleset(ctypes.Structure):
    """What is denied unless a rule allows it: files, TCP, and what lies outside of the domain."""

    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    # As in the kernel's header: with padding, the size would be wrong.
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """The kernel's version of Landlock; 0 where there is none."""
    try:
        return syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)
    except OSError:
        return 0


def ruleset(abi: int, *, programs: bool = False) -> tuple[Ruleset, int]:
    """All that a version can deny here, and the size in bytes that it reads.

    Reading stays free, and so does starting `programs`: they are held to the same rules. A version
    newer than `NEWEST` keeps what that one knew, as the kernel promises.
    """
    abi = min(abi, NEWEST)
    # Naming a right that the kernel does not know is an error, so the version decides.
    files = ((1 << _FILE_RIGHTS[abi]) - 1) & ~(_READ | (_EXECUTE if programs else 0))
    rules = Ruleset(files, _TCP if abi >= 4 else 0, _SCOPES if abi >= 6 else 0)
    return rules, _RULESET_BYTES[abi]


def restrict(folder: Path, *, devices: Iterable[Path] = (), programs: bool = False) -> int:
    """Let this process write below `folder` and to `devices`, and start no program unless told.

    Returns the version in force; 0 where the kernel has none. Raises `OSError` where it has one
    that refuses what it should know.
    """
    abi = version()
    if not abi:
        return 0
    rules, size = ruleset(abi, programs=programs)
    handle = syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    try:
        # Not even what the child has written itself may be started.
        _allow(handle, folder, rules.files & ~_EXECUTE)
        for device in devices:
            _allow(handle, device, rules.files & _ON_A_FILE)
        # Without this promise (never to gain rights by a setuid program) the kernel refuses.
        libc("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        syscall(_RESTRICT_SELF, handle, 0)
    finally:
        os.close(handle)
    return abi


def _allow(handle: int, path: Path, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # What is not there needs no rule.
    try:
        rule = _Beneath(rights, parent)
        syscall(_ADD_RULE, handle, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(parent)

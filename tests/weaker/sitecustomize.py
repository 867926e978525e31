"""Makes a child believe that its kernel is a weaker one, as $WEAKER says.

Python imports this before anything else in whoever has this folder on $PYTHONPATH. `landlock=N`
answers as that version does, and refuses what it does not know (security/landlock/syscalls.c).
"""

import ctypes
import errno
import os
import sys

_WEAKER = dict(part.partition("=")[::2] for part in os.environ.get("WEAKER", "").split())
_FILE_RIGHTS = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}
_SIZES = {1: 8, 2: 8, 3: 8, 4: 16, 5: 16}


def _weaken() -> None:
    from video2gif.core.confine import landlock, namespaces, seccomp

    genuine = landlock.syscall
    version = int(_WEAKER.get("landlock", 0))

    def as_version(number: int, *arguments: object) -> int:
        if number == 444 and arguments[0] is None:
            if not version:
                raise OSError(errno.EOPNOTSUPP, "no Landlock")
            return version
        if number == 444:
            _require_known(arguments[0]._obj, arguments[1].value, version)  # type: ignore[attr-defined]
        return genuine(number, *arguments)

    if "landlock" in _WEAKER:
        landlock.syscall = as_version
    if "namespaces" in _WEAKER:
        namespaces.enter = lambda _: (False, False)
    if "seccomp" in _WEAKER:
        seccomp.restrict = lambda _: False


def _require_known(rules: ctypes.Structure, size: int, version: int) -> None:
    known = _SIZES.get(version, 24)
    if any(bytes(rules)[known:size]):
        raise OSError(errno.E2BIG, "ruleset of a later version")
    if rules.files & ~_FILE_RIGHTS.get(version, 0xFFFF):  # type: ignore[attr-defined]
        raise OSError(errno.EINVAL, "right of a later version")


if _WEAKER and "video2gif.core.child" in sys.orig_argv:
    _weaken()

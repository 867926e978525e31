"""System calls that Python has no function for, by way of the C library."""

import ctypes
import os
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)


def libc(function: str, *arguments: Any) -> int:
    """Call a function of the C library. Raises `OSError` where it answers -1."""
    answer = int(getattr(_LIBC, function)(*arguments))
    if answer == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")
    return answer


def syscall(number: int, *arguments: Any) -> int:
    """Call the kernel by number. Raises `OSError` where it answers with an error."""
    return libc("syscall", ctypes.c_long(number), *arguments)

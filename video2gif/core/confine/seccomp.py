"""A seccomp filter: what a child may not ask the kernel for, whatever file or address it means.

A filter sees the number of a call and its plain arguments, not what a pointer leads to. So calls
that change a file's owner, mode, times, attributes or locks are refused altogether: a child has no
use for them. The filter cannot be taken off, and every thread and program started later has it.

Refused calls fail with EPERM. Calls newer than this table fail with ENOSYS unless they are listed
as harmless: a program then does what it did before they were invented. See seccomp(2).
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from video2gif.core.confine.calls import libc, syscall

# Numbers of the kernel's headers: linux/prctl.h, linux/seccomp.h, linux/audit.h (machines) and
# linux/bpf_common.h (instructions).
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_FILTER = 1
# Kernels before 5.16 would else switch off a processor's guessing, which costs decoders some speed.
_AS_FAST_AS_BEFORE = 1 << 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT = 0, 4, 16

NEW = 424
"""From this number on all machines share their numbers; Linux 5.1 and later."""
# close_range faccessat2 epoll_pwait2 landlock_* futex_waitv cachestat map_shadow_stack
# futex_wake futex_wait futex_requeue mseal
HARMLESS = (436, 439, 441, 444, 445, 446, 449, 451, 453, 454, 455, 456, 462)

_MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# name: (number on x86_64, number on aarch64), None where the machine lacks it.
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    # the network, and other processes by sockets
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    # files, but for their content
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "flock": (73, 32),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
    "open": (2, None),
    "openat": (257, 56),
    "truncate": (76, 45),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "quotactl": (179, 60),
    "fanotify_init": (300, 262),
    # other processes
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "prlimit64": (302, 261),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # new processes, other programs, and leaving those who end this one
    "fork": (57, None),
    "vfork": (58, None),
    "clone": (56, 220),
    "execve": (59, 221),
    "execveat": (322, 281),
    "prctl": (157, 167),
    "setpgid": (109, 154),
    "setsid": (112, 157),
    # memory and messages shared with others
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # the kernel itself
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "personality": (135, 92),
    "syslog": (103, 116),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
}

# The commands of fcntl that lock, lease, watch, or send a signal to somebody.
_FCNTL = (6, 7, 8, 10, 15, 37, 38, 1024, 1026)
# FIOSETOWN, SIOCSPGRP (whom to signal); TIOCSTI, TIOCLINUX (type for the user), TIOCSCTTY, TIOCSETD
_IOCTL = (0x8901, 0x8902, 0x5412, 0x541C, 0x540E, 0x5423)
_FAST_OPEN = 0x20000000  # MSG_FASTOPEN connects while it sends.
_THREAD, _NEW_NAMESPACES = 0x10000, 0x7E020000
_PDEATHSIG = 1
_EMPTIES = os.O_TRUNC | os.O_ACCMODE

Needs = Literal["stream", "program", "gpu"]


@dataclass(frozen=True)
class Rule:
    """A call that is refused: always, or by the lower half of one argument.

    Refused where the bits of the argument that are in `mask` equal one of `values`; or where they
    equal none of them, if these are the ones that are `allowed`.
    """

    call: str
    argument: int = 0
    values: tuple[int, ...] = ()
    mask: int = 0xFFFFFFFF
    allowed: bool = False


def rules(process: int, needs: frozenset[Needs] = frozenset()) -> list[Rule]:
    """What process `process` may not do.

    `needs` has "stream" where it reads and writes sockets that it was handed, "program" where it
    starts one (Landlock says which), "gpu" where CUDA opens unix sockets for itself.
    """
    special = {
        # Before its third version, Landlock lets a file be emptied by who opens it for reading.
        "open": [Rule("open", 1, values=(os.O_TRUNC,), mask=_EMPTIES)],
        "openat": [Rule("openat", 2, values=(os.O_TRUNC,), mask=_EMPTIES)],
        "fcntl": [Rule("fcntl", 1, values=_FCNTL)],
        "ioctl": [Rule("ioctl", 1, values=_IOCTL)],
        # Itself it may signal: that is how `abort` ends a process.
        "kill": [Rule("kill", 0, values=(process,), allowed=True)],
        "tgkill": [Rule("tgkill", 0, values=(process,), allowed=True)],
        # The C library asks for its own limits by this call.
        "prlimit64": [Rule("prlimit64", 0, values=(0, process), allowed=True)],
        "sched_setaffinity": [Rule("sched_setaffinity", 0, values=(0, process), allowed=True)],
        # This value asks and changes nothing.
        "personality": [Rule("personality", 0, values=(0xFFFFFFFF,), allowed=True)],
        # Threads, no processes. clone3 keeps its flags behind a pointer, where a filter sees
        # nothing: it is newer than the table, so not there, and the C library then takes clone.
        "clone": [Rule("clone", 0, values=(_THREAD,), mask=_THREAD, allowed=True)],
        # It must not be able to outlive its parent.
        "prctl": [Rule("prctl", 0, values=(_PDEATHSIG,))],
    }
    if "stream" in needs:
        special["sendto"] = [Rule("sendto", 3, values=(_FAST_OPEN,), mask=_FAST_OPEN)]
    if "program" in needs:
        special |= {name: [] for name in ("fork", "vfork", "execve", "execveat")}
        # No new namespaces: in one of users it would have all rights again.
        special["clone"] = [Rule("clone", 0, values=(0,), mask=_NEW_NAMESPACES, allowed=True)]
    if "gpu" in needs:
        # 1: AF_UNIX, which cannot leave the machine.
        special["socket"] = [Rule("socket", 0, values=(1,), allowed=True)]
        special |= {name: [] for name in ("bind", "listen")}
    return [rule for call in NUMBERS for rule in special.get(call, [Rule(call)])]


def program(machine: str, rules: Iterable[Rule]) -> list[tuple[int, int, int, int]]:
    """The filter as instructions (code, jump if true, jump if false, constant)."""
    column = list(_MACHINES).index(machine)
    refuse, unknown = _REFUSE | errno.EPERM, _REFUSE | errno.ENOSYS
    found = [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_EQUAL, 1, 0, _MACHINES[machine]),
        (_RETURN, 0, 0, refuse),  # 32-bit calls on a 64-bit kernel have other numbers.
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    for rule in rules:
        number = NUMBERS[rule.call][column]
        if number is not None:
            block = _block(rule, refuse)
            # A jump counts the instructions that it leaves out: here those of the block.
            found += [(_EQUAL, 0, len(block), number), *block]
    harmless = [(_EQUAL, len(HARMLESS) - i, 0, number) for i, number in enumerate(HARMLESS)]
    found += [(_AT_LEAST, 0, len(HARMLESS) + 1, NEW), *harmless]
    return [*found, (_RETURN, 0, 0, unknown), (_RETURN, 0, 0, _ALLOW)]


def _block(rule: Rule, refuse: int) -> list[tuple[int, int, int, int]]:
    """What follows once the number is known to be that of the rule."""
    if not rule.values:
        return [(_RETURN, 0, 0, refuse)]
    listed, other = (_ALLOW, refuse) if rule.allowed else (refuse, _ALLOW)
    load = (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * rule.argument)  # Both machines are little-endian.
    # Behind the tests: what is so where none of them holds, then what is so where one does.
    tests = [(_EQUAL, len(rule.values) - i, 0, value) for i, value in enumerate(rule.values)]
    mask = (_AND, 0, 0, rule.mask)
    return [load, mask, *tests, (_RETURN, 0, 0, other), (_RETURN, 0, 0, listed)]


def restrict(needs: frozenset[Needs] = frozenset()) -> bool:
    """Put the filter on this process. False on a machine or kernel that it is not written for."""
    machine = os.uname().machine
    if machine not in _MACHINES:
        return False
    instructions = program(machine, rules(os.getpid(), needs))
    try:
        libc("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _install(machine, instructions)
    except OSError:
        return False
    return True


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _install(machine: str, instructions: Sequence[tuple[int, int, int, int]]) -> None:
    packed = b"".join(struct.pack("=HBBI", *one) for one in instructions)
    # In a variable, as the kernel reads this memory and Python would free it.
    kept = ctypes.create_string_buffer(packed, len(packed))
    filled = _Program(len(instructions), ctypes.addressof(kept))
    syscall(_SECCOMP[machine], _SET_FILTER, _AS_FAST_AS_BEFORE, ctypes.byref(filled))

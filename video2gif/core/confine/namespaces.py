"""Namespaces: a network of this process's own, with nothing in it, and a read-only file system.

Root may have them; anyone may where the kernel allows user namespaces (Debian does, Ubuntu 24.04
and containers often do not). See namespaces(7), user_namespaces(7), mount_setattr(2).
"""

import ctypes
import os
from pathlib import Path

from video2gif.core.confine.calls import libc, syscall

# Flags and numbers of clone(2), mount(2), mount_setattr(2) and capget(2): Python names none.
_NEW_MOUNTS, _NEW_IPC, _NEW_USER, _NEW_NET = 0x20000, 0x8000000, 0x10000000, 0x40000000
_OURS = _NEW_NET | _NEW_IPC | _NEW_MOUNTS
_BIND, _RECURSIVE, _SLAVE = 0x1000, 0x4000, 0x80000
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000
_READ_ONLY = 1
_CAPABILITIES_VERSION_3 = 0x20080522
_READ_ANYTHING = 1 << 2  # CAP_DAC_READ_SEARCH: root reads other people's inputs.


class _MountAttributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns"))


def enter(folder: Path) -> tuple[bool, bool]:
    """Leave the network and make all but `folder` read-only, as far as this kernel lets us.

    Says which of the two is in force. Capabilities go in any case, root's as well.
    """
    has_network = _unshared()
    is_read_only = has_network and _all_read_only_but(folder)
    _drop_capabilities()
    return has_network, is_read_only


def _unshared() -> bool:
    try:
        libc("unshare", _OURS)  # Root needs no user namespace, and keeps its rights to read.
    except OSError:
        if not _may_have_users():
            return False
        try:
            _with_users(_OURS)
        except OSError:
            return False
    return True


def _may_have_users() -> bool:
    """Whether a user namespace can be set up: tried in a fork, since a half made one is of no use.

    Ubuntu 24.04 lets anyone begin one, and refuses the second step.
    """
    child = os.fork()
    if not child:
        status = 1
        try:
            _with_users(0)
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def _with_users(flags: int) -> None:
    user, group = os.geteuid(), os.getegid()
    libc("unshare", flags | _NEW_USER)
    # user_namespaces(7): without rights a group can be mapped only after this.
    Path("/proc/self/setgroups").write_text("deny")
    # The same user inside and outside, so that what is written belongs to whom it should.
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _all_read_only_but(folder: Path) -> bool:
    own = os.fsencode(folder)
    try:
        # From here on, no mount of ours shows outside.
        libc("mount", b"none", b"/", None, ctypes.c_ulong(_RECURSIVE | _SLAVE), None)
        # Only a mount can be set read-only or not, so the folder becomes one.
        libc("mount", own, own, None, ctypes.c_ulong(_BIND), None)
        _set_mount(b"/", _MountAttributes(set=_READ_ONLY), _AT_RECURSIVE)
    except OSError:
        return False
    # Not in the `try`: with everything read-only, this folder too, no work could be done.
    _set_mount(own, _MountAttributes(clear=_READ_ONLY), 0)
    return True


def _set_mount(path: bytes, attributes: _MountAttributes, flags: int) -> None:
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    syscall(_MOUNT_SETATTR, _AT_FDCWD, path, flags, ctypes.byref(attributes), size)


def _drop_capabilities() -> None:
    """Keep root's right to read other people's files, and no other."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION_3, 0)
    now = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then their upper halves
    libc("capget", header, now)
    kept = now[1] & _READ_ANYTHING
    libc("capset", header, (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0))

"""What a child that touches a stranger's bytes cannot do, by three means of the kernel.

| means | who may use it | what it denies |
|---|---|---|
| `namespaces` | root; anyone, if the kernel allows it | any network; writing outside |
| `landlock` | anyone, Linux 5.13 and later | writing outside, programs; later TCP, signals |
| `seccomp` | anyone, x86_64 and aarch64 | sockets, signals, programs, modes, times, locks |

Each is used where it is there. They overlap on purpose: each of them alone leaves holes, and not
every kernel has all three. `trial` tries what a hijacked child would try; `video2gif doctor` shows
what it found.
"""

from dataclasses import dataclass
from pathlib import Path

from video2gif.core.confine import landlock, namespaces, seccomp
from video2gif.core.confine.seccomp import Needs

_GPU_DEVICES = ("nvidia*", "nvidia-caps/*", "dri/*")


@dataclass(frozen=True)
class InForce:
    """What holds this process."""

    network: bool
    """A network namespace with nothing in it."""
    read_only: bool
    """Every file system but the own folder is read-only."""
    landlock: int
    """Its version; 0 where there is none."""
    seccomp: bool

    def __str__(self) -> str:
        newer = " (newer than known here)" if self.landlock > landlock.NEWEST else ""
        means = {
            "a network namespace": self.network,
            "read-only mounts": self.read_only,
            f"Landlock {self.landlock}{newer}": self.landlock > 0,
            "seccomp": self.seccomp,
        }
        return ", ".join(name for name, there in means.items() if there) or "nothing"


in_force = InForce(network=False, read_only=False, landlock=0, seccomp=False)
"""What `confine` has put on this process."""


def confine(folder: Path, needs: frozenset[Needs] = frozenset()) -> InForce:
    """From now on this process, which has one thread, writes below `folder` and /dev/null only.

    It starts no process and opens no socket, but for its `needs`. Reading stays free: inputs lie
    anywhere.
    """
    global in_force
    devices = [Path("/dev/null")]
    if "gpu" in needs:
        devices += [path for pattern in _GPU_DEVICES for path in Path("/dev").glob(pattern)]
    # In this order: Landlock forbids mounts and seccomp forbids new namespaces.
    network, read_only = namespaces.enter(folder)
    version = landlock.restrict(folder, devices=devices, programs="program" in needs)
    in_force = InForce(network, read_only, version, seccomp.restrict(needs))
    return in_force

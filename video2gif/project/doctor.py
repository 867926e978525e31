"""Check that a machine is ready for the pipeline. Each check says what was found and the remedy."""

import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from packaging.specifiers import SpecifierSet

from video2gif.core.confine import trial
from video2gif.core.errors import install_line
from video2gif.core.layout import Layout, read_json
from video2gif.core.store import ItemStore

_FREE_BYTES = 5 << 30

# Versions wanted, and the extra that brings the package ("" for none). Upper limits: newer versions
# break Prefect without an error message (docs/decisions.md).
_PINS = {
    "av": (">=18", ""),
    "openvino": (">=2026.4", "openvino"),
    "torch": (">=2.13", "torch"),
    "prefect": (">=3.8.8,<3.9", "pipeline"),
    "sqlalchemy": ("<2.1", "pipeline"),
    "dvc": (">=3.67", "pipeline"),
    "yt-dlp": (">=2026.10", "web"),
}
_FASTAPI_WITH_PREFECT = "<0.151"


@dataclass(frozen=True)
class Check:
    """One line of `video2gif doctor`."""

    state: Literal["ok", "note", "bad"]
    what: str
    found: str
    remedy: str = ""


def check_all(layout: Layout) -> list[Check]:
    """All checks, in reading order."""
    checks: list[Callable[[], list[Check]]] = [
        lambda: _packages(layout),
        _codecs,
        _cache,
        _sandbox,
        lambda: _project(layout),
        lambda: _model(layout),
    ]
    return [line for check in checks for line in check()]


def _packages(layout: Layout) -> list[Check]:
    """In a project all are needed; outside of one, each extra only for what it does."""
    in_project = (layout.root / "dvc.yaml").is_file()
    pins = dict(_PINS)
    if _version("prefect"):
        pins["fastapi"] = (_FASTAPI_WITH_PREFECT, "")
    return [_package(name, *pin, in_project=in_project) for name, pin in pins.items()]


def _package(name: str, wanted: str, extra: str, *, in_project: bool) -> Check:
    found = _version(name)
    if not found and extra and not in_project:
        return Check("note", name, "not installed", install_line(extra))
    remedy = (
        "pip install -c constraints.txt -e '.[dev]'" if in_project else "install video2gif again"
    )
    if not found:
        return Check("bad", name, "not installed", remedy)
    if not SpecifierSet(wanted).contains(found, prereleases=True):
        return Check("bad", name, f"{found}, wanted {wanted}", remedy)
    return Check("ok", name, found)


def _version(name: str) -> str:
    """ "" where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _codecs() -> list[Check]:
    import av.codec

    missing = [n for n in ("libx264", "gif", "libwebp_anim") if n not in av.codec.codecs_available]
    if missing:
        return [Check("bad", "encoders", f"missing {', '.join(missing)}", "use PyAV's own wheel")]
    return [Check("ok", "encoders", "h264, gif, webp")]


def _cache() -> list[Check]:
    root = ItemStore.default().root
    try:
        root.mkdir(parents=True, exist_ok=True)
        # To try it is the only way to know: a disk may be mounted read-only.
        probe = root / f".doctor.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        remedy = "set VIDEO2GIF_CACHE to a folder you may write to"
        return [Check("bad", "item store", f"{root}: {error}", remedy)]
    free = shutil.disk_usage(root).free
    if free < _FREE_BYTES:
        return [Check("note", "item store", f"{root}: {free >> 30} GiB free", "make room")]
    return [Check("ok", "item store", f"{root}, {free >> 30} GiB free")]


def _sandbox() -> list[Check]:
    found = trial.tried()
    if not found.could:
        return [Check("ok", "sandbox", f"children reach nothing outside: {found.in_force}")]
    remedy = (
        "for files of strangers, use Linux 5.13 or later on x86_64 or aarch64; in a container, have"
        " Landlock and seccomp allowed"
    )
    what = f"a hijacked child could {', '.join(found.could)}; in force: {found.in_force}"
    return [Check("note", "sandbox", what, remedy)]


def _project(layout: Layout) -> list[Check]:
    if not (layout.root / "dvc.yaml").is_file():
        remedy = "only needed for `dvc repro`: change into a clone, or give --root"
        return [Check("note", "project", f"no dvc.yaml in {layout.root}", remedy)]
    git = subprocess.run(
        ["git", "-C", layout.root, "rev-parse", "--git-dir"], capture_output=True, check=False
    )
    if git.returncode:
        return [Check("bad", "project", "not a git repository", "git init, or clone the project")]
    return [Check("ok", "project", str(layout.root))]


def _model(layout: Layout) -> list[Check]:
    if not layout.model.is_file():
        remedy = "none is needed: the default ranking does without; `make repro` trains one"
        return [Check("note", "model", "none", remedy)]
    card = read_json(layout.model_card)
    networks = ", ".join(sorted(card.get("features", {}))) or "unknown networks"
    if card.get("random_weights"):
        remedy = "scores mean little outside the sample: import C3D Sports-1M weights"
        return [Check("note", "model", f"trained on {networks} with random weights", remedy)]
    return [Check("ok", "model", f"trained on features of {networks}")]

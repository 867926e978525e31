"""`video2gif weights fetch`: the published weight files, their addresses, digests and licences.

Addresses as public code names them in November 2026; none is ours, any may vanish. A SHA-256 stands
here only where the publisher states it; for the other files the user must give one.
"""

from dataclasses import dataclass
from pathlib import Path

from video2gif.core.errors import ItemError, UserError
from video2gif.core.sandbox import Worker
from video2gif.core.workplace import PARTIAL
from video2gif.features.importers import Origin, check_sha256, checked_digits
from video2gif.media.fetch import Policy, fetch_item, fetching

_POLICY = Policy(max_bytes=1 << 30, timeout_s=4 * 3600)


@dataclass(frozen=True, kw_only=True)
class Published:
    """One published file."""

    name: str
    url: str
    what: str
    licence: str
    sha256: str = ""
    """Whole or its first digits, as the publisher states it; "" if nobody does."""
    doubts: tuple[str, ...] = ()
    head: bool = False
    """The Video2GIF head instead of C3D."""

    @property
    def file_name(self) -> str:
        return self.url.partition("?")[0].rpartition("/")[2]

    @property
    def origin(self) -> Origin:
        return Origin(url=self.url, licence=self.licence, doubts=self.doubts)


_PADDED = "its own pipeline pads pool5 and subtracts other means; here it runs as the authors' net"

PUBLISHED = {
    one.name: one
    for one in (
        Published(
            name="c3d-caffe",
            url="https://www.dropbox.com/s/vr8ckp0pxgbldhs/conv3d_deepnetA_sport1m_iter_1900000?dl=1",
            what="C3D on Sports-1M by its authors (Caffe)",
            licence="Not stated with the file. Tran et al., 'Learning Spatiotemporal Features with"
            " 3D Convolutional Networks', ICCV 2015: read the licence in the authors' repository"
            " (github.com/facebookarchive/C3D) before you use it.",
        ),
        Published(
            name="c3d-lasagne",
            url="https://s3.amazonaws.com/lasagne/recipes/pretrained/c3d/c3d_model.pkl",
            what="the same, converted by M. Gygli; what Video2GIF ran on (Lasagne)",
            licence="'License: Not specified' (Lasagne Recipes, modelzoo/c3d.py).",
        ),
        Published(
            name="c3d-mmaction2",
            url="https://download.openmmlab.com/mmaction/recognition/c3d/c3d_sports1m_pretrain_20201016-dcc47ddc.pth",
            what="the same, converted for MMAction2 (PyTorch)",
            licence="MMAction2 is under the Apache License 2.0; nothing is stated for this file.",
            sha256="dcc47ddc",  # In its name, as torch.hub's check_hash has it.
            doubts=(_PADDED,),
        ),
        Published(
            name="c3d-pytorch",
            url="https://aimagelab.ing.unimore.it/files/c3d_pytorch/c3d.pickle",
            what="the same through Keras (PyTorch); provenance doubtful",
            licence="Not stated with the file.",
            doubts=(
                "came through Keras and may be flipped in time: check it with"
                " `video2gif weights compare` against another file",
                _PADDED,
            ),
        ),
    )
}


def chosen(name: str) -> Published:
    """The file of that name. Raises `UserError` listing the names."""
    if name not in PUBLISHED:
        raise UserError(f"weights fetch {name}: unknown; known: {', '.join(sorted(PUBLISHED))}")
    return PUBLISHED[name]


def download(
    one: Published,
    folder: Path,
    *,
    sha256: str = "",
    unpinned: bool = False,
    policy: Policy = _POLICY,
) -> Path:
    """Fetch into `folder` (a cut transfer is resumed by the next call) and check the digest.

    Without a digest, published or given, only `unpinned` accepts what the server sends. A file
    with another digest is removed. Raises `UserError` or `ItemError`.
    """
    expected = checked_digits(sha256) or one.sha256
    if not expected and not unpinned:
        raise UserError(
            f"{one.name}: its publisher states no sha256; give the one you trust with --sha256, or"
            " take what comes with --unpinned (its card will show the digest)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / one.file_name
    if not target.is_file():
        try:
            _fetch(one.url, target, policy)
        except ItemError as error:
            raise UserError(
                f"{error}; fetch it by other means and use `video2gif weights import FILE`"
            ) from None
    try:
        check_sha256(target, expected)
    except UserError:
        target.unlink()
        raise
    return target


def _fetch(url: str, target: Path, policy: Policy) -> None:
    """In a child, as every file of a stranger."""
    work, item = fetching(policy), fetch_item(target.name, url, policy, sites=False)
    with Worker(work.limits, root=target.parent) as worker:
        kept = target.parent / PARTIAL / target.name
        worker.run(work.function, {**item.args, "params": work.params}, target, kept=kept)

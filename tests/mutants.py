"""Hostile files by the thousand: whole ones, damaged in ways that parsers trip over.

`mutant(kind, number)` is a function of its arguments: a file that was found to harm can be made
again, and kept (tests/found/).
"""

import hashlib
import io
import struct
import tempfile
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from random import Random

import av
import numpy as np
import published
import safetensors.numpy
import torch
import weight_files

from video2gif.features.weights import Architecture
from video2gif.gifs.receipt import Receipt, embed
from video2gif.gifs.render import Recipe
from video2gif.media.encode import write_gif, write_video

REPO = Path(__file__).parents[1]
KINDS = ("gif", "mp4", "manifest", "params", "weights", "safetensors", "receipt")
NARROW = Architecture(channels=((2,), (3,), (2, 3), (3, 2), (2, 3)), n_fc6=7)
NUMBERS = (0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutant(kind: str, number: int) -> bytes:
    """The number-th hostile file of a kind, always the same."""
    rng = Random(f"{kind}:{number}")
    content = bytearray(rng.choice(seeds(kind)))
    for _ in range(rng.choice((1, 1, 2, 3, 5, 9, 30))):
        rng.choice(_DAMAGES)(rng, content, seeds(kind))
    return bytes(content)


Damage = Callable[[Random, bytearray, tuple[bytes, ...]], None]


def _flip(rng: Random, content: bytearray, _: tuple[bytes, ...]) -> None:
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _byte(rng: Random, content: bytearray, _: tuple[bytes, ...]) -> None:
    if content:
        content[rng.randrange(len(content))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))


def _number(rng: Random, content: bytearray, _: tuple[bytes, ...]) -> None:
    """A count or size becomes one that overflows or asks for everything; headers more often."""
    at = rng.randrange(max(1, min(len(content), rng.choice((64, 1024, len(content) + 1)))))
    form = rng.choice((">I", "<I", ">H", "<H", "<Q"))
    value = rng.choice(NUMBERS) & (1 << 8 * struct.calcsize(form)) - 1
    content[at : at + struct.calcsize(form)] = struct.pack(form, value)


def _cut(rng: Random, content: bytearray, _: tuple[bytes, ...]) -> None:
    del content[rng.randrange(len(content) + 1) :]


def _remove(rng: Random, content: bytearray, _: tuple[bytes, ...]) -> None:
    at = rng.randrange(len(content) + 1)
    del content[at : at + rng.randrange(1, 200)]


def _repeat(rng: Random, content: bytearray, _: tuple[bytes, ...]) -> None:
    at = rng.randrange(len(content) + 1)
    content[at:at] = content[at : at + rng.randrange(1, 400)] * rng.randrange(1, 20)


def _zero(rng: Random, content: bytearray, _: tuple[bytes, ...]) -> None:
    at = rng.randrange(len(content) + 1)
    part = content[at : at + rng.randrange(1, 400)]
    content[at : at + len(part)] = bytes(len(part))


def _noise(rng: Random, content: bytearray, _: tuple[bytes, ...]) -> None:
    at = rng.randrange(len(content) + 1)
    part = content[at : at + rng.randrange(1, 200)]
    content[at : at + len(part)] = rng.randbytes(len(part))


def _splice(rng: Random, content: bytearray, others: tuple[bytes, ...]) -> None:
    other = rng.choice(others)
    at = rng.randrange(len(other) + 1)
    start = rng.randrange(len(content) + 1)
    content[start : start + rng.randrange(400)] = other[at : at + rng.randrange(1, 400)]


_DAMAGES: tuple[Damage, ...] = (
    *(_flip, _flip, _byte, _number, _number, _number),
    *(_cut, _remove, _repeat, _zero, _noise, _splice),
)


# --- whole files ---


@cache
def seeds(kind: str) -> tuple[bytes, ...]:
    """Small whole files of a kind."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            "gif": _gifs,
            "mp4": _films,
            "manifest": _manifests,
            "params": lambda _: ((REPO / "params.yaml").read_bytes(),),
            "weights": _weights,
            "safetensors": _safetensors,
            "receipt": _receipts,
        }[kind](Path(folder))


def _pictures(n: int, height: int = 32, width: int = 48) -> list[np.ndarray]:
    world = np.random.default_rng(0).integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    picture = world.repeat(4, 0).repeat(4, 1)
    return [np.roll(picture, 3 * number, axis=1) for number in range(n)]


def _gifs(folder: Path) -> tuple[bytes, ...]:
    from PIL import Image

    write_gif(folder / "a.gif", _pictures(6), delays_cs=10)
    write_gif(folder / "b.gif", _pictures(4), delays_cs=[0, 3, 65535, 10], palette="web")
    images = [Image.fromarray(picture) for picture in _pictures(5)]
    found = []
    for disposal, interlace in ((0, 0), (2, 1), (3, 0)):
        file = io.BytesIO()
        images[0].save(
            file,
            "GIF",
            save_all=True,
            append_images=images[1:],
            duration=[10, 20, 100, 40, 50],
            disposal=disposal,
            interlace=interlace,
            transparency=3,
        )
        found.append(file.getvalue())
    return ((folder / "a.gif").read_bytes(), (folder / "b.gif").read_bytes(), *found)


def _films(folder: Path) -> tuple[bytes, ...]:
    write_video(folder / "a.mp4", _pictures(18), fps=12)
    _film(folder / "b.mp4", codec="libx264", movflags="", options={"bf": "3", "g": "6"})
    _film(folder / "c.mp4", codec="mpeg4", movflags="+faststart", options={"g": "4"})
    _film(folder / "d.mp4", codec="mpeg4", movflags="+frag_keyframe+empty_moov", options={})
    _film(folder / "e.mp4", codec="mjpeg", movflags="", options={}, pix_fmt="yuvj420p")
    return tuple(path.read_bytes() for path in sorted(folder.glob("*.mp4")))


def _film(
    path: Path, *, codec: str, movflags: str, options: dict[str, str], pix_fmt: str = "yuv420p"
) -> None:
    with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as container:
        stream = container.add_stream(codec, rate=12)
        stream.height, stream.width, stream.pix_fmt = 32, 48, pix_fmt
        stream.options = options
        if codec == "mpeg4":
            stream.set_display_rotation(90)
        for number, picture in enumerate(_pictures(14)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 12)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _manifests(_: Path) -> tuple[bytes, ...]:
    header = "video_id,video_url,gif_id,gif_url,start_s,end_s,views,age_days,title,tags,split\n"
    row = 'v{0},v{0}.mp4,g{0},https://h.example/g{0}.gif,1,2.5,"1,234",30,"A ""t""\nx",a|b,train\n'
    own = (header + "".join(row.format(n) for n in range(8))).encode()
    release = [published.SEPARATOR.join(published.RELEASE_COLUMNS).encode()]
    release += [published.line(published.row(f"v{n}", f"g{n}")) for n in range(4)]
    phd2 = b"youtubeId,start,duration,user_id,video_duration,is_last\nv1,1.5,2,3,40.0,True\n"
    return own, b"\n".join(release) + b"\n", phd2 * 1 + b"v2,1,2,3,4,False\n" * 5


def _tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=shape).astype("f4") for name, shape in NARROW.shapes.items()}


def _weights(folder: Path) -> tuple[bytes, ...]:
    tensors = _tensors()
    weight_files.caffemodel(folder / "a", tensors)
    (folder / "b").write_bytes(weight_files.python2_pickle(weight_files.lasagne_list(tensors)))
    (folder / "c").write_bytes(weight_files.protocol0(weight_files.lasagne_list(tensors)))
    state = weight_files.state_dict(weight_files.mmaction_keys(tensors))
    torch.save(state, folder / "d")
    torch.save(state, folder / "e", _use_new_zipfile_serialization=False)
    objects = np.empty(2, object)
    objects[:] = [np.ones(3), np.zeros(2)]
    np.savez(folder / "f.npz", objects)
    return tuple(path.read_bytes() for path in sorted(folder.iterdir()))


def _safetensors(_: Path) -> tuple[bytes, ...]:
    return (safetensors.numpy.save(_tensors()), safetensors.numpy.save({"x": np.ones(3, "f2")}))


def _receipts(folder: Path) -> tuple[bytes, ...]:
    write_gif(folder / "a.gif", _pictures(2, 16, 16), delays_cs=10)
    write_video(folder / "a.mp4", _pictures(2, 16, 16), fps=10)
    sha = hashlib.sha256(b"").hexdigest()
    recipe = Recipe(
        format="gif",
        encoder="libav",
        start_s=0.5,
        end_s=2.5,
        rate=12.5,
        n_frames=25,
        height=120,
        master_height=120,
        loop="cut",
        fade_frames=0,
        hold=2,
        quality=0,
    )
    receipt = Receipt(
        source=sha,
        body=sha,
        params=sha,
        model="baseline",
        tool="video2gif 1, av 2",
        score=0.5,
        moment=(1.0, 3.0),
        recipe=recipe,
    )
    return tuple(embed((folder / name).read_bytes(), receipt) for name in ("a.gif", "a.mp4"))

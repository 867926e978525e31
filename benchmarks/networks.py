"""`python benchmarks/networks.py FILM`: how fast each network looks at film, side by side.

Two items of one FILM at a time, one a core, by the code of `extract`, warm-up and start of the
children included: bare decoding, EfficientNet-Lite0, C3D (random weights: they cost the same) as
`params.yaml` has it and every 8 frames as in the paper, and Lite0 with C3D on one decode. Prints
the hours of film that an hour of this machine takes, and the ratio to decoding alone.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from video2gif.core.config import ExtractParams, Params
from video2gif.core.items import Context
from video2gif.core.mappers import ProcessMapper
from video2gif.core.store import ItemStore
from video2gif.features.registry import extractions
from video2gif.features.together import WantedVideo, compute_features
from video2gif.media.decode import Decoder

ROOT = Path(__file__).parents[1]
_AT_ONCE, _SEGMENT_FRAMES = 2, 75


def decoded(film: Path) -> tuple[int, float]:
    """Frames and seconds of a film."""
    with Decoder(film) as decoder:
        n_frames = sum(1 for _ in decoder.frames())
        return n_frames, decoder.end_s


def decode_alone(film: Path) -> None:
    """Decode it once for each of the two, side by side."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(decoded, [film] * _AT_ONCE))


def extract(film: Path, n_frames: int, chosen: ExtractParams) -> None:
    """Both items of the networks that `chosen` names, into a store that is thrown away."""
    starts = np.arange(0, n_frames, _SEGMENT_FRAMES)
    spans = np.stack([starts, np.minimum(starts + _SEGMENT_FRAMES, n_frames)], axis=1)
    videos = [WantedVideo(str(n), str(n), film, spans) for n in range(_AT_ONCE)]
    with TemporaryDirectory() as folder:
        context = Context(ItemStore(Path(folder)), ProcessMapper(_AT_ONCE))
        made = extractions(chosen, root=ROOT, context=context)
        outcomes = compute_features("extract", made, videos, context)
    failed = [one.reason for own in outcomes for one in own if not one.ok]
    if failed:
        raise SystemExit(failed[0])


def ways(film: Path, n_frames: int) -> Sequence[tuple[str, Callable[[], None]]]:
    """What is measured, by name."""
    params = Params.load(ROOT / "params.yaml").extract

    def way(networks: list[str], stride: int = params.clip_stride) -> Callable[[], None]:
        chosen = replace(params, networks=networks, weights="random:0", clip_stride=stride)
        return lambda: extract(film, n_frames, chosen)

    lite0 = "efficientnet-lite0"
    return [
        ("decoding alone", lambda: decode_alone(film)),
        (f"{lite0}, {params.frames_per_s:g} a second", way([lite0])),
        (f"c3d, every {params.clip_stride} frames", way(["c3d"])),
        ("c3d, every 8 frames", way(["c3d"], stride=8)),
        (f"both, c3d every {params.clip_stride}", way([lite0, "c3d"])),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", type=Path)
    film = parser.parse_args().film
    n_frames, duration_s = decoded(film)
    bare_s = None
    print(f"{film.name}, {duration_s:.0f} s, {_AT_ONCE} at a time\n")
    print("| | seconds | hours of film an hour | × decoding |\n|---|---|---|---|")
    for name, run in ways(film, n_frames):
        began = time.perf_counter()
        run()
        took_s = time.perf_counter() - began
        bare_s = bare_s or took_s
        rate = _AT_ONCE * duration_s / took_s
        print(f"| {name} | {took_s:.1f} | {rate:.1f} | {took_s / bare_s:.1f} |", flush=True)


if __name__ == "__main__":
    main()

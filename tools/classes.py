"""`python tools/classes.py SYNSETS DATA_NOUN`: write video2gif/features/imagenet.tsv.

SYNSETS lists the 1000 WordNet ids of the ImageNet classes in the order of a network's outputs
(timm 1.0.31, timm/data/_info/imagenet_synsets.txt, Apache-2.0). DATA_NOUN is WordNet 3.0's noun
file (Debian's wordnet-base, /usr/share/wordnet/data.noun; WordNet's own licence, docs/licences.md).

Of each class and of everything above it a line: id, names by comma, ids one step above by blank.
The classes come first, in order; what is above them follows, by id.
"""

import sys
from pathlib import Path

TARGET = Path(__file__).parents[1] / "video2gif" / "features" / "imagenet.tsv"


def main(synsets: Path, data_noun: Path) -> None:
    """Read both files and write the table."""
    nouns = dict(_noun(line) for line in data_noun.read_text().splitlines() if line[:2] != "  ")
    classes = synsets.read_text().split()
    above: set[str] = set()
    waiting = list(classes)
    while waiting:
        new = set(nouns[waiting.pop()][1]) - above
        above |= new
        waiting += new
    rows = [*classes, *sorted(above - set(classes))]
    lines = [f"{row}\t{', '.join(nouns[row][0])}\t{' '.join(nouns[row][1])}\n" for row in rows]
    TARGET.write_text("".join(lines))


def _noun(line: str) -> tuple[str, tuple[list[str], list[str]]]:
    """Id, names and what is one step above: wndb(5WN), `@` and `@i` are its pointers upwards."""
    fields = line.partition(" | ")[0].split()
    n_names = int(fields[3], 16)
    names = [fields[4 + 2 * number].replace("_", " ") for number in range(n_names)]
    pointers = fields[5 + 2 * n_names :]
    ups = [
        f"n{pointers[place + 1]}"
        for place in range(0, 4 * int(fields[4 + 2 * n_names]), 4)
        if pointers[place] in ("@", "@i")
    ]
    return f"n{fields[0]}", (names, ups)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

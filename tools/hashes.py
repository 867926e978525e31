"""python tools/hashes.py: write hashes.txt, the lock with the sha256 of what pip would take.

    pip install --no-deps --require-hashes -r hashes.txt && pip install --no-deps -e .

installs nothing but those files. They are those of one platform (Linux x86-64, Python 3.11, the CPU
build of torch), so `make` itself installs from constraints.txt, which holds everywhere.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAD = "# Written by `python tools/hashes.py`: Linux x86-64, Python 3.11, torch for CPUs.\n"


def chosen() -> list[dict]:
    """What pip would install from the lock, as its report says."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--report", report, "-c", ROOT / "constraints.txt", "-e", f"{ROOT}[dev]"]
        subprocess.run([*command, *options], check=True)
        return json.loads(report.read_text())["install"]


def line(package: dict) -> str:
    """One requirement with its hash."""
    about, digest = (
        package["metadata"],
        package["download_info"]["archive_info"]["hashes"]["sha256"],
    )
    version = about["version"].partition("+")[0]
    return f"{about['name']}=={version} --hash=sha256:{digest}\n"


if __name__ == "__main__":
    lines = sorted(map(line, (one for one in chosen() if not one["is_direct"])), key=str.lower)
    (ROOT / "hashes.txt").write_text(HEAD + "".join(lines))

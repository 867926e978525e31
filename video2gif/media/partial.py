"""The part of a file that has been fetched so far, and which version of the file it belongs to."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Partial:
    """The first bytes of a file, and beside them a json file that names their version."""

    path: Path
    validator: str = field(default="", init=False)
    """A strong ETag or Last-Modified; "" if these bytes cannot be continued."""

    def load(self, url: str) -> None:
        """Read the notes. Bytes of another url, or of no known version, are dropped."""
        try:
            known = json.loads(self._notes.read_text())
            if known["url"] == _digest(url):
                self.validator = str(known["validator"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        if not self.validator:
            self.restart("", url)

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def restart(self, validator: str, url: str) -> None:
        """Begin again: drop the bytes first, then write the notes of the new version.

        In this order notes never describe bytes of another version, even if the process is killed.
        """
        self.path.write_bytes(b"")
        self.validator = validator
        self._notes.write_text(json.dumps({"url": _digest(url), "validator": validator}))

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    @property
    def _notes(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")


def _digest(url: str) -> str:
    # The url itself may contain a secret in its query, and must not lie in a cache.
    return hashlib.sha256(url.encode()).hexdigest()

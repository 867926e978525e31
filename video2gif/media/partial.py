"""What is there so far of a file that is being fetched, and of which version it is."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Partial:
    """A body's first bytes, and beside them (json) of which version of the file they are."""

    path: Path
    validator: str = field(default="", init=False)
    """A strong ETag or Last-Modified; "" if these bytes cannot be continued."""

    def load(self, url: str) -> None:
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
        """Empty; the notes are written first-bytes-last, so that they never describe others."""
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
    # Not the url itself: its query may be a secret, and the notes lie in a cache.
    return hashlib.sha256(url.encode()).hexdigest()

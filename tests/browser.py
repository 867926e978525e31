"""A headless Chromium, driven by the DevTools protocol over websockets: what a person does.

No driver to download: the browser that is installed is enough, and websockets comes with Prefect.
"""

import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from patience import PATIENCE_S
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless",
    "--no-sandbox",  # Tests may run as root.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-prefers-reduced-motion",
    "--remote-debugging-port=0",
)


def program() -> str | None:
    """The path of a Chromium, if one is installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browser(profile: Path, downloads: Path) -> Iterator["Page"]:
    """A page of a fresh browser; `downloads` gets what is downloaded."""
    chosen = program()
    assert chosen is not None
    child = subprocess.Popen(
        [chosen, *_FLAGS, f"--user-data-dir={profile}", "--window-size=1200,1400", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = _port(profile / "DevToolsActivePort", child)
        with connect(f"ws://127.0.0.1:{port[0]}{port[1]}", max_size=None) as socket:
            yield Page(socket, downloads)
    finally:
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _port(path: Path, child: subprocess.Popen[bytes]) -> tuple[str, str]:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        assert child.poll() is None, "the browser did not start"
        if path.is_file() and len(lines := path.read_text().split("\n")) >= 2:
            return lines[0], lines[1]
        time.sleep(0.05)
    raise TimeoutError("the browser opened no DevTools port")


class Page:
    """One tab."""

    def __init__(self, socket: ClientConnection, downloads: Path) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._session = ""
        self.problems: list[str] = []
        """Uncaught exceptions and console errors of the page."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "DOM", "Log"):
            self.send(f"{domain}.enable")
        self.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a DevTools method and wait for its answer."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE_S))
            self._listen(answer)
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _listen(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(str(event["params"]["exceptionDetails"]))
        if event.get("method") == "Log.entryAdded":
            entry = event["params"]["entry"]
            if entry["level"] == "error":
                self.problems.append(f"{entry['text']} {entry.get('url', '')}")

    def goto(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        self.send("Page.navigate", url=url)
        self.wait(f"location.href.startsWith({url!r}) && document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression (promises awaited)."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression: str, *, patience_s: float = PATIENCE_S) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            if self.evaluate(f"Boolean({expression})"):
                return
            time.sleep(0.1)
        said = self.evaluate("document.querySelector('#said')?.textContent")
        raise AssertionError(f"never came true: {expression}; the page says {said!r}")

    def choose_files(self, selector: str, paths: Sequence[Path]) -> None:
        """Fill a file input, as its dialogue would."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def centre(self, selector: str) -> tuple[float, float]:
        """The middle of an element, scrolled into view."""
        x, y = self.evaluate(
            f"(() => {{ const e = document.querySelector({selector!r});"
            " e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        return x, y

    def click(self, selector: str) -> None:
        """Press and release the mouse over an element."""
        x, y = self.centre(selector)
        self._mouse("mousePressed", x, y)
        self._mouse("mouseReleased", x, y)

    def drag(self, selector: str, *, by_px: float) -> None:
        """Drag an element sideways, in steps as a hand does."""
        x, y = self.centre(selector)
        self._mouse("mouseMoved", x, y, buttons=0)
        self._mouse("mousePressed", x, y)
        for step in range(1, 6):
            self._mouse("mouseMoved", x + by_px * step / 5, y)
        self._mouse("mouseReleased", x + by_px, y)

    def key(self, key: str, *, shift: bool = False) -> None:
        """Press a key where the focus is."""
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, modifiers=8 * shift, **text)

    def tab(self) -> None:
        """Go to the next control, as the Tab key does."""
        for kind in ("rawKeyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9
            )

    def hover(self, selector: str) -> None:
        """Move the pointer over the middle of an element."""
        self._mouse("mouseMoved", *self.centre(selector), buttons=0)

    def _mouse(self, kind: str, x: float, y: float, *, buttons: int = 1) -> None:
        held = {"button": "left" if buttons else "none", "buttons": buttons, "clickCount": 1}
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)

    def dark(self, is_dark: bool) -> None:
        """Prefer dark or light colours."""
        feature = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[feature])

    def screenshot(self, path: Path, *, width: int = 1200) -> None:
        """The whole page as PNG."""
        height = self.evaluate("document.documentElement.scrollHeight")
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        time.sleep(0.3)
        shot = self.send("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))
        self.send("Emulation.clearDeviceMetricsOverride")

"""How is a page used and timed in a real browser? Chromium without a window, over a pipe.

The browser's DevTools protocol over two pipes (`--remote-debugging-pipe`): JSON messages that end
in a zero byte. It needs no package and no port.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)
# The browser reads commands from descriptor 3 and writes answers to 4; both are moved there in a
# process of its own, where nothing else can hold these numbers.
_MOVE = (
    "import fcntl, os, sys; "
    "high = [fcntl.fcntl(int(n), fcntl.F_DUPFD, 20) for n in sys.argv[1:3]]; "
    "[os.dup2(fd, 3 + i) for i, fd in enumerate(high)]; "
    "os.execvp(sys.argv[3], sys.argv[3:])"
)


def find_browser() -> str | None:
    """The path of a browser that speaks the protocol; None where there is none."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


class Tab:
    """One page of a running browser.

    Attributes:
        said: What the page wrote to its console, and its uncaught errors, since it was opened.
        requests: Addresses that the page asked for, itself first.
    """

    def __init__(self, commands: Any, answers: Any) -> None:
        self._commands, self._answers = commands, answers
        self._number = 0
        self._session: str | None = None
        self._events: list[dict[str, Any]] = []
        self.said: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the browser for something and return its answer.

        Raises:
            RuntimeError: Where it refuses, or has gone.
        """
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                found: dict[str, Any] = answer["result"]
                return found
            self._note(answer)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; a promise is waited for.

        Raises:
            RuntimeError: Where it throws.
        """
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def size(self, width: int, height: int, *, theme: str = "light") -> None:
        """Make the window so large, in a light or dark theme; a narrow one is a phone's."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def open(self, path: Path, *, fragment: str = "") -> None:
        """Go to a file and wait until it has loaded."""
        self.go(path.resolve().as_uri() + fragment)

    def go(self, address: str) -> None:
        """Go to an address, of a file or of this machine, and wait until it has loaded."""
        for known in (self._events, self.said, self.requests):
            known.clear()
        self.call("Page.navigate", url=address)
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._note(self._read())

    def wait_for(self, expression: str, *, seconds: float = 20.0) -> None:
        """Wait until an expression is true in the page.

        Raises:
            RuntimeError: Where it is not after that time.
        """
        tried = f"""(async () => {{
          const end = performance.now() + {1000 * seconds};
          while (!({expression}) && performance.now() < end)
            await new Promise((done) => setTimeout(done, 20));
          return !!({expression});
        }})()"""
        if not self.evaluate(tried):
            raise RuntimeError(f"not so after {seconds:g} s: {expression}")

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as PNG."""
        shot = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    def _read(self) -> dict[str, Any]:
        message = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("the browser has gone")
            message += byte
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            return
        self._events.append(message)
        params = message["params"]
        if message["method"] == "Runtime.consoleAPICalled":
            self.said.append(" ".join(str(arg.get("value")) for arg in params["args"]))
        elif message["method"] == "Runtime.exceptionThrown":
            self.said.append(str(params["exceptionDetails"].get("exception", params)))
        elif message["method"] == "Log.entryAdded":
            self.said.append(str(params["entry"]["text"]))
        elif message["method"] == "Network.requestWillBeSent":
            self.requests.append(str(params["request"]["url"]))


@contextmanager
def open_browser(command: str) -> Iterator[Tab]:
    """A running browser with one empty page; it ends with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        to_browser, from_us = os.pipe()
        to_us, from_browser = os.pipe()
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", _MOVE, str(to_browser), str(from_browser)),
                *(command, *FLAGS, f"--user-data-dir={folder}/profile", "about:blank"),
            ],
            pass_fds=(to_browser, from_browser),
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": folder},
        )
        os.close(to_browser)
        os.close(from_browser)
        try:
            with os.fdopen(from_us, "wb") as commands, os.fdopen(to_us, "rb") as answers:
                yield Tab(commands, answers)
        finally:
            process.terminate()
            process.wait()

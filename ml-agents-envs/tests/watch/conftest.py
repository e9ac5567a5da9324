"""A browser for tests: Chromium without a window, told what to do through its DevTools protocol."""

import base64
import contextlib
import io
import itertools
import json
import os
import shutil
import socket
import struct
import subprocess
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
OPTIONS = (
    "--headless=new", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--remote-debugging-port=0", "--no-first-run", "--disable-extensions", "--disable-background-networking",
    "--disable-component-update", "--disable-dev-shm-usage", "--window-size=1000,640", "about:blank",
)  # fmt: skip
PATIENCE = 60  # s, on a busy machine


class Socket:
    """A client's end of a WebSocket: text only."""

    def __init__(self, port, path):
        self._line = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        self._line.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._in = self._line.makefile("rb")
        assert b"101" in self._in.readline()
        while self._in.readline() != b"\r\n":
            pass

    def send(self, text):
        body, mask = text.encode(), os.urandom(4)
        length = struct.pack("!BBH", 0x81, 0x80 | 126, len(body))
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))
        self._line.sendall(length + mask + masked)

    def receive(self):
        whole = b""
        while True:
            first, length = self._in.read(2)
            if length >= 126:
                size = 2 if length == 126 else 8
                length = int.from_bytes(self._in.read(size), "big")
            whole += self._in.read(length)
            if first & 0x80:
                return whole.decode()

    def close(self):
        self._in.close()
        self._line.close()


class Tab:
    """A page of the browser."""

    def __init__(self, port):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            path = json.load(answer)["webSocketDebuggerUrl"].split(str(port), 1)[1]
        self._socket, self._numbers = Socket(port, path), itertools.count(1)
        self.complaints = []  # what the console was told and what went wrong
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **arguments):
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": arguments}))
        while True:
            said = json.loads(self._socket.receive())
            if said.get("id") == number:
                assert "error" not in said, said
                return said["result"]
            self._note(said)

    def _note(self, said):
        what = said["params"]
        if said["method"] == "Runtime.exceptionThrown":
            self.complaints.append(what["exceptionDetails"]["exception"]["description"])
        elif said["method"] == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning"):
            self.complaints.append(str(what["args"]))
        elif said["method"] == "Log.entryAdded" and what["entry"]["level"] == "error":
            self.complaints.append(what["entry"]["text"])

    def open(self, address, *, dark=False):
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=address)
        self.until("document.querySelectorAll('#facts tr').length > 0")

    def ask(self, script):
        return self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)["result"].get(
            "value"
        )

    def text(self, selector):
        return self.ask(f"document.querySelector({selector!r}).textContent")

    def until(self, script):
        """Wait until a script is true, and return its value."""
        end = time.monotonic() + PATIENCE
        while not (value := self.ask(script)):
            assert time.monotonic() < end, f"{script} is not true; the page says: {self.ask('document.body.innerText')}"
            time.sleep(0.02)
        return value

    def click(self, selector):
        at = self.ask(f"""(() => {{const r = document.querySelector({selector!r}).getBoundingClientRect();
                       return [r.x + r.width / 2, r.y + r.height / 2]}})()""")
        self.click_at(*at)

    def click_at(self, x, y):
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, start, end):
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], button="left", clickCount=1)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=end[0], y=end[1], button="left", buttons=1)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], button="left", clickCount=1)

    def key(self, key, kind="keyDown"):
        self.call("Input.dispatchKeyEvent", type=kind, key=key, text=key if len(key) == 1 and kind == "keyDown" else "")

    def picture(self):
        """The page as it is seen, (height, width, 3)."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if folder := os.environ.get("WATCH_PICTURES"):
            Path(folder, f"page-{time.monotonic_ns()}.png").write_bytes(data)
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)

    def close(self):
        self._socket.close()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """The port of a browser's DevTools."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("there is no Chromium here")
    home = tmp_path_factory.mktemp("chromium")
    process = subprocess.Popen(
        [program, f"--user-data-dir={home}", *OPTIONS], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    told = home / "DevToolsActivePort"
    end = time.monotonic() + PATIENCE
    while not (told.exists() and told.read_text().count("\n")):
        assert process.poll() is None and time.monotonic() < end, "the browser did not start"
        time.sleep(0.05)
    yield int(told.read_text().split()[0])
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    if process.poll() is None:
        process.kill()
        process.wait()


@pytest.fixture
def tab(chromium):
    made = Tab(chromium)
    yield made
    made.close()

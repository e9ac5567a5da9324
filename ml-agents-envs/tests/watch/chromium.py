"""A browser for tests: Chromium without a window, controlled through its DevTools protocol.

Every wait ends after PATIENCE, with what the page says. The protocol goes through pipes, so a browser also ends when
the tests are killed.
"""

import base64
import contextlib
import io
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
OPTIONS = (
    "--headless=new", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--remote-debugging-pipe", "--no-first-run", "--disable-extensions", "--disable-background-networking",
    "--disable-component-update", "--disable-dev-shm-usage", "--window-size=800,600", "about:blank",
)  # fmt: skip
START = "import os, sys; os.dup2({}, 3); os.dup2({}, 4); os.execv(sys.argv[1], sys.argv[1:])"  # 3 and 4 are its pipes
PATIENCE = 90  # s, on a busy machine
LEAVING = 10  # s that its end may take
PAUSE = 0.02  # s between two questions
KEYS = {"ArrowUp": 38, "ArrowDown": 40, "ArrowLeft": 37, "ArrowRight": 39}  # others are characters


def find():
    """The program of a browser that understands us, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None) if os.name == "posix" else None


def until(asked, complaint):
    """Ask until the answer is true, and return it; complaint: tells what is wrong when patience is at its end."""
    end = time.monotonic() + PATIENCE
    while not (answer := asked()):
        assert time.monotonic() < end, complaint()
        time.sleep(PAUSE)
    return answer


class RefusedError(Exception):
    """The browser cannot do what it is asked for, such as run a script in a page that is just being left."""


class Browser:
    """A process with a profile of its own; both are gone once it is closed."""

    def __init__(self, program):
        self._home = Path(tempfile.mkdtemp(prefix="chromium-"))
        hears, self._out = os.pipe()
        self._in, says = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", START.format(hears, says), program, f"--user-data-dir={self._home}", *OPTIONS],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(hears, says),
            env={**os.environ, "TMPDIR": str(self._home)},
        )  # fmt: skip
        os.close(hears)
        os.close(says)
        self._numbers, self._received = itertools.count(1), b""
        self.tabs = {}  # by their sessions

    def call(self, method, session=None, **arguments):
        """Call a method of the protocol and return its result; events of pages go to their tabs."""
        number = next(self._numbers)
        question = {"id": number, "method": method, "params": arguments} | ({"sessionId": session} if session else {})
        os.write(self._out, json.dumps(question).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while (message := self._receive(end, method)).get("id") != number:
            if (tab := self.tabs.get(message.get("sessionId"))) is not None and "method" in message:
                tab.note(message["method"], message["params"])
        if "error" in message:
            raise RefusedError(f"{method}: {message['error']}")
        return message["result"]

    def _receive(self, end, asked):
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._in], [], [], max(0, end - time.monotonic()))
            assert ready, f"the browser does not answer {asked}"
            more = os.read(self._in, 2**20)
            assert more, f"the browser ended when it was asked for {asked}"
            self._received += more
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)

    def close(self):
        os.close(self._out)  # it ends when it has nobody to listen to
        try:
            self._process.wait(LEAVING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(LEAVING)
        os.close(self._in)
        end = time.monotonic() + LEAVING
        while self._home.exists() and time.monotonic() < end:
            shutil.rmtree(self._home, ignore_errors=True)  # its helpers may still write


class Tab:
    """A page of the browser; as many as there are, each has the focus."""

    def __init__(self, browser):
        self._browser = browser
        self._id = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=self._id, flatten=True)["sessionId"]
        browser.tabs[self._session] = self
        self.complaints = []  # what went wrong, as the console has it
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)

    def call(self, method, **arguments):
        return self._browser.call(method, self._session, **arguments)

    def note(self, method, what):
        if method == "Runtime.exceptionThrown":
            self.complaints.append(what["exceptionDetails"]["exception"]["description"])
        elif method == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning"):
            self.complaints.append(str(what["args"]))
        elif method == "Log.entryAdded" and what["entry"]["level"] == "error":
            self.complaints.append(what["entry"]["text"])

    def open(self, address):
        """Open a page and wait until it shows something."""
        self.call("Page.navigate", url=address)
        self.until("document.querySelectorAll('#facts tr').length > 0")

    def reload(self):
        self.ask("window.old = true")
        self.call("Page.reload")
        self.until("!window.old && document.querySelectorAll('#facts tr').length > 0")

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=True)

    def ask(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def text(self, selector):
        return self.ask(f"document.querySelector({selector!r}).textContent")

    def fact(self, name):
        """What the panel says about the agent that is picked."""
        rows = self.ask(
            "[...document.querySelectorAll('#facts tr')].map((r) => [...r.cells].map((c) => c.textContent))"
        )
        return dict(rows).get(name)

    def until(self, script):
        """Wait until a script is true, and return its value."""

        def asked():
            with contextlib.suppress(RefusedError):
                return self.ask(script)

        return until(asked, lambda: f"{script} is not true; the page says: {self.ask('document.body.innerText')}")

    def until_text(self, selector, text):
        self.until(f"document.querySelector({selector!r})?.textContent === {text!r}")

    def box(self, selector):
        """Where something is: x, y, width and height."""
        return self.ask(f"(({{x, y, width, height}}) => [x, y, width, height])"
                        f"(document.querySelector({selector!r}).getBoundingClientRect())")  # fmt: skip

    def click(self, selector):
        x, y, width, height = self.box(selector)
        self.click_at(x + width / 2, y + height / 2)

    def click_at(self, x, y):
        self.drag((x, y), (x, y))

    def drag(self, start, end, button="left"):
        self._mouse("mousePressed", start, button)
        if start != end:
            self._mouse("mouseMoved", end, button, buttons={"left": 1, "right": 2}[button])
        self._mouse("mouseReleased", end, button)

    def _mouse(self, kind, at, button, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], button=button, clickCount=1, **more)

    def scroll(self, x, y, down):
        self.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=down)

    def press(self, key):
        code = KEYS.get(key, ord(key[0].upper()))
        self.call("Input.dispatchKeyEvent", type="rawKeyDown", key=key, windowsVirtualKeyCode=code)

    def release(self, key):
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def choose(self, selector, value):
        """Choose an option, as its menu would."""
        self.ask(f"(() => {{const s = document.querySelector({selector!r}); s.value = {value!r};"
                 f" s.dispatchEvent(new Event('change'))}})()")  # fmt: skip

    def picture(self):
        """The page as it is seen, (height, width, 3)."""
        self.call("Page.bringToFront")
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)

    def close(self):
        self._browser.call("Target.closeTarget", targetId=self._id)
        del self._browser.tabs[self._session]

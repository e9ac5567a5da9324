"""Builds that are no programs, and a server on this machine that gives them away."""

import io
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mlagents_envs.registry import binary_utils

PLAYERS = {"linux": "Ball.x86_64", "darwin": "Ball.app/Contents/MacOS/Ball", "win32": "Ball.exe"}
PLAYER = PLAYERS.get(sys.platform, "Ball.x86_64")  # inside a build


def archive_of(*names, content=b"player"):
    """Return an archive with files of these names."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return memory.getvalue()


BUILD = archive_of(f"build/{PLAYER}", "build/UnityCrashHandler64.exe", "build/Ball_Data/level0")


class Server:
    """Gives each request the next of its answers, and the last one forever.

    An answer is a status, or bytes, or bytes and how many are announced, None for none.
    """

    def __init__(self):
        self.answers = [BUILD]
        self.asked = []  # paths
        house = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                house.asked.append(self.path)
                answer = house.answers.pop(0) if len(house.answers) > 1 else house.answers[0]
                if isinstance(answer, int):
                    self.send_error(answer)
                    return
                data, announced = answer if isinstance(answer, tuple) else (answer, len(answer))
                self.send_response(200)
                if announced is not None:
                    self.send_header("Content-Length", str(announced))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def url(self, path):
        return f"http://127.0.0.1:{self._server.server_address[1]}/{path}"

    def close(self):
        """Stop; afterwards nobody listens."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(binary_utils, "PAUSES", (0.0,) * 5)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.close()


@pytest.fixture
def nobody(server):
    """A url behind which nobody listens."""
    other = Server()
    other.close()
    return other.url("manifest.yaml")


@pytest.fixture
def zipped():
    """A function of file names that returns an archive."""
    return archive_of

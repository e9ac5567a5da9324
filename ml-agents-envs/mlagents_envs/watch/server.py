"""The page's server on this machine: sends frames on request and receives commands."""

from __future__ import annotations

import json
import os
import queue
import socket
import sys
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mlagents_envs.exception import UnityEnvironmentException

HOST = "127.0.0.1"
OURS = ("127.0.0.1", "localhost", "[::1]")  # host names of requests from this machine
PORTS = 20  # that are tried, one after another
PATIENCE = 10.0  # s that a request for a frame stays open
CLOSING = 0.05  # s until the server notices that it is closed
LONGEST = 4096  # bytes of a command
SILENCE = 30.0  # s of a silent connection
MOST_OPEN = 32  # connections: a page has two
MOST_DIGITS = 15  # of a number in a request
MOST_COMMANDS = 1000  # that wait to be applied
PAGE = {
    "/": ("view.html", "text/html; charset=utf-8"),
    "/view.css": ("view.css", "text/css; charset=utf-8"),
    "/view.js": ("view.js", "text/javascript; charset=utf-8"),
    "/scene.js": ("scene.js", "text/javascript; charset=utf-8"),
}

Command = dict[str, Any]


class Server:
    """Serves until it is closed. `show` and `commands` are for one thread; pages are answered in others."""

    def __init__(self, port: int, *, remedy: str = "give another with --port") -> None:
        """port: the first that is tried; remedy: what a user can do about it.

        Raises UnityEnvironmentException if none of those that follow is free.
        """
        self.waiting = 0  # pages that wait for a frame; other threads may read it
        self._frame, self._number = b"", 0
        self._news = threading.Condition()
        self._closed = False
        self._commands: queue.Queue[Command] = queue.Queue(MOST_COMMANDS)
        self._server = _listen(port, self, remedy)
        self.port: int = self._server.server_address[1]
        self.address = f"http://{HOST}:{self.port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(CLOSING,), name="watch", daemon=True)
        self._thread.start()

    def show(self, frame: bytes) -> None:
        """Send a frame to all pages that wait."""
        with self._news:
            self._frame, self._number = frame, self._number + 1
            self.waiting = 0
            self._news.notify_all()

    def commands(self, *, patience: float = 0.0) -> list[Command]:
        """Return the commands since the last call; wait up to patience seconds for the first."""
        received: list[Command] = []
        try:
            if patience > 0:
                received.append(self._commands.get(timeout=patience))
            while True:
                received.append(self._commands.get_nowait())
        except queue.Empty:
            return received

    def close(self) -> None:
        """End all requests and free the port."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, command: Command) -> None:
        """Queue a command; drop it if the queue is full."""
        with suppress(queue.Full):
            self._commands.put_nowait(command)

    def frame_other_than(self, number: int) -> tuple[bytes, int]:
        """Wait for a frame other than this one and return it with its number; number 0 after a timeout."""
        with self._news:
            if self._number == number or not self._number:
                self.waiting += 1
                self._news.wait_for(lambda: self._closed or self._number not in (number, 0), PATIENCE)
            if self._closed:
                raise ConnectionError("the server is closed")
            return (self._frame, self._number) if self._number != number else (b"", 0)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = SILENCE  # of the connection
    watch: Server  # set by _listen

    def do_GET(self) -> None:
        if not self._ours():
            return
        try:
            where = urlsplit(self.path)
        except ValueError:  # a bracket that is not closed
            self._send(HTTPStatus.BAD_REQUEST)
            return
        if where.path == "/frame":
            self._send_frame(_whole(parse_qs(where.query).get("after", ["0"])[0]))
        elif where.path in PAGE:
            name, kind = PAGE[where.path]
            self._send(HTTPStatus.OK, files("mlagents_envs.watch").joinpath(name).read_bytes(), kind)
        else:
            self._send(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Take an order. Other sites' pages may not send JSON, so only ours is received."""
        length = _whole(self.headers.get("Content-Length", ""))
        if not self._ours():
            return
        if self.path != "/order":
            self.close_connection = True
            self._send(HTTPStatus.NOT_FOUND)
            return
        if self.headers.get_content_type() != "application/json" or length is None or length > LONGEST:
            self.close_connection = True
            self._send(HTTPStatus.BAD_REQUEST)
            return
        try:
            command = json.loads(self.rfile.read(length))
        except (ValueError, RecursionError):
            command = None
        if not isinstance(command, dict):
            self._send(HTTPStatus.BAD_REQUEST)
            return
        self.watch.take(command)
        self._send(HTTPStatus.NO_CONTENT)

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing: the terminal belongs to the run."""

    def _ours(self) -> bool:
        """Return whether the Host header names this machine, to reject DNS rebinding."""
        if self.headers.get("Host", "").rpartition(":")[0] in OURS or self.headers.get("Host") in OURS:
            return True
        self.close_connection = True
        self._send(HTTPStatus.FORBIDDEN)
        return False

    def _send_frame(self, after: int | None) -> None:
        if after is None:
            self._send(HTTPStatus.BAD_REQUEST)
            return
        try:
            frame, number = self.watch.frame_other_than(after)
        except ConnectionError:
            self.close_connection = True
            self._send(HTTPStatus.GONE)
            return
        if number:
            self._send(HTTPStatus.OK, frame, "application/octet-stream", number)
        else:
            self._send(HTTPStatus.NO_CONTENT)

    def _send(self, status: HTTPStatus, body: bytes = b"", kind: str = "text/plain", number: int | None = None) -> None:
        try:
            self.send_response(status)
            if status is not HTTPStatus.NO_CONTENT:
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            if self.close_connection:
                self.send_header("Connection", "close")
            if number is not None:
                self.send_header("Frame", str(number))
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # the page was closed, or does not read
            self.close_connection = True


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # elsewhere it would let two servers share a port

    def __init__(self, place: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(place, handler)
        self._open: list[Any] = []  # connections, the oldest first
        self._one = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; with too many connections, close the oldest. A page requests again."""
        with self._one:
            self._open.append(request)
            surplus = self._open.pop(0) if len(self._open) > MOST_OPEN else None
        if surplus is not None:
            with suppress(OSError):
                surplus.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._one:
            if request in self._open:
                self._open.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a page that disconnected within a request."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _whole(text: str) -> int | None:
    """Return a number from 0 on, None for other text or too many digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None


def _listen(port: int, server: Server, remedy: str) -> _Listener:
    handler = type("Handler", (_Handler,), {"watch": server})
    for free in range(port, min(port + PORTS, 65536)):
        with suppress(OSError):  # the port is taken
            return _Listener((HOST, free), handler)
    raise UnityEnvironmentException(
        f"port {port}: neither it nor the {PORTS - 1} that follow are free to show the page at; {remedy}"
    )

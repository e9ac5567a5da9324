"""The page's other end: serves it on this machine, hands it frames as it asks for them, and hears what it orders."""

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
OURS = ("127.0.0.1", "localhost", "[::1]")  # names under which a browser of this machine may ask
PORTS = 20  # that are tried, one after another
PATIENCE = 10.0  # s that a page's question for a frame stays open
CLOSING = 0.05  # s until it notices that it is to close
LONGEST = 4096  # bytes of an order
SILENCE = 30.0  # s that a connection says nothing
MOST_OPEN = 32  # connections: a page has two
MOST_DIGITS = 15  # of a number in a request
MOST_ORDERS = 1000  # that wait to be obeyed
PAGE = {
    "/": ("view.html", "text/html; charset=utf-8"),
    "/view.css": ("view.css", "text/css; charset=utf-8"),
    "/view.js": ("view.js", "text/javascript; charset=utf-8"),
    "/scene.js": ("scene.js", "text/javascript; charset=utf-8"),
}

Order = dict[str, Any]


class Server:
    """Serves until it is closed. `show` and `orders` are for one thread; pages are answered in threads of their own."""

    def __init__(self, port: int, *, remedy: str = "give another with --port") -> None:
        """port: the first that is tried; remedy: what a user can do about it.

        Raises UnityEnvironmentException if none of those that follow is free.
        """
        self.waiting = 0  # pages that want a frame; a number that others may just read
        self._frame, self._number = b"", 0
        self._news = threading.Condition()
        self._closed = False
        self._orders: queue.Queue[Order] = queue.Queue(MOST_ORDERS)
        self._server = _listen(port, self, remedy)
        self.port: int = self._server.server_address[1]
        self.address = f"http://{HOST}:{self.port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(CLOSING,), name="watch", daemon=True)
        self._thread.start()

    def show(self, frame: bytes) -> None:
        """Give all pages that wait a frame."""
        with self._news:
            self._frame, self._number = frame, self._number + 1
            self.waiting = 0
            self._news.notify_all()

    def orders(self, *, patience: float = 0.0) -> list[Order]:
        """Return what pages ordered since the last call; wait up to patience seconds for a first order."""
        heard: list[Order] = []
        try:
            if patience > 0:
                heard.append(self._orders.get(timeout=patience))
            while True:
                heard.append(self._orders.get_nowait())
        except queue.Empty:
            return heard

    def close(self) -> None:
        """Tell pages that it is over, and free the port."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, order: Order) -> None:
        """Keep an order until it is obeyed; one too many is lost."""
        with suppress(queue.Full):
            self._orders.put_nowait(order)

    def frame_other_than(self, number: int) -> tuple[bytes, int]:
        """Return a frame that is not this one, and its number, as soon as there is one; number 0 after a while."""
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
        """Take an order. Other sites' pages may not send JSON, so only ours is heard."""
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
            order = json.loads(self.rfile.read(length))
        except (ValueError, RecursionError):
            order = None
        if not isinstance(order, dict):
            self._send(HTTPStatus.BAD_REQUEST)
            return
        self.watch.take(order)
        self._send(HTTPStatus.NO_CONTENT)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: the terminal belongs to the run."""

    def _ours(self) -> bool:
        """Is it asked by a name of this machine? Else the name of a foreign site leads here."""
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
        """Answer in a thread; where there are too many connections, the oldest ends. A page asks again."""
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
        """Let a page that went away in the middle of a sentence go."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _whole(text: str) -> int | None:
    """Return a number from 0 on, None for what is none, or has too many digits to be meant."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None


def _listen(port: int, server: Server, remedy: str) -> _Listener:
    handler = type("Handler", (_Handler,), {"watch": server})
    for free in range(port, min(port + PORTS, 65536)):
        with suppress(OSError):  # somebody else listens there
            return _Listener((HOST, free), handler)
    raise UnityEnvironmentException(
        f"port {port}: neither it nor the {PORTS - 1} that follow are free to show the page at; {remedy}"
    )

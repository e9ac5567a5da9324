"""The place that a player calls: every call hands its bytes over and waits for bytes to take home."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from enum import Enum, auto
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import grpc

from mlagents_envs.exception import UnityEnvironmentException

log = logging.getLogger(__name__)
METHOD = "/communicator_objects.UnityToExternalProto/Exchange"
LOOPBACK, LOOPBACK_6 = "127.0.0.1", "::1"
MESSAGE_LIMIT = 256 * 2**20  # bytes
_CALLS = 16  # handled at once: one is enough for a player; the others are for those who are sent away
_SILENCE = 2.0  # seconds in which a caller that is not known yet says what it wants
_GRACE = 0.5  # seconds for the last answer to go out


class Interruption(Enum):
    """What can come instead of a message."""

    HUNG_UP = auto()  # the player left while it waited
    REJECTED = auto()  # its message was longer than the limit, or cut off


def _goes_on(message: bytes) -> bool:
    return False


def _welcome(message: bytes) -> str | None:
    return None


class ExchangeServer:
    """Listens for one player, whose calls come one after another: `receive` and `answer` take turns.

    The player is who first says what a player says; whoever calls before is sent away, with one line of log. A process
    that was forked from this one can neither talk to the player nor end it.

    A call with the player's last message is answered at once, whatever the owner of this server does meanwhile: Unity
    waits for that answer on its main thread, without a deadline, and quits after it.
    """

    def __init__(
        self, port: int, *, address: str = LOOPBACK, limit: int = MESSAGE_LIMIT, farewell: bytes = b"",
        is_last: Callable[[bytes], bool] = _goes_on, why_stranger: Callable[[bytes], str | None] = _welcome,
    ) -> None:  # fmt: skip
        """Listen; raises OSError if the port is taken.

        address: only this machine can connect to the loopback address. limit: of a message, in bytes. farewell: what a
        call gets that ends the conversation, or that comes after its end. is_last: does a message end it?
        why_stranger: why a first message is not a player's, None if it is.
        """
        self.port = port
        self.limit = limit
        self._farewell = farewell
        self._is_last = is_last
        self._why_stranger = why_stranger
        self.stranger = ""  # why a caller was no player, if one was none
        self._process = os.getpid()
        self._inbox: SimpleQueue[bytes | Interruption] = SimpleQueue()
        self._outbox: SimpleQueue[bytes] = SimpleQueue()
        self._one = threading.Lock()  # held by the call that is being answered
        self._caller = ""  # the player, known by its first message
        self._introduction = threading.Lock()  # held while a caller becomes the player
        self._ended = False  # by either side: every call gets the farewell
        self._closed = False
        if not is_free(address, port):
            raise OSError(f"port {port} is taken")
        self._threads = _Threads(_CALLS)
        self._server = grpc.server(
            self._threads,
            options=[
                ("grpc.so_reuseport", 0),  # a port that is taken is an error
                ("grpc.max_receive_message_length", limit),
                ("grpc.max_send_message_length", -1),
            ],
        )
        self._server.add_generic_rpc_handlers((_Door(self),))
        self._listen(address)
        if address == LOOPBACK and is_free(LOOPBACK_6, port):
            self._listen(LOOPBACK_6)  # Unity calls `localhost`, which may mean either
        self._server.start()

    def check_process(self) -> None:
        """Raise UnityEnvironmentException in a process that was forked from the one that listens."""
        if self.is_inherited:
            raise UnityEnvironmentException(
                "this environment was opened in another process, and a fork cannot use it; use multiprocessing with "
                "get_context('spawn') and open the environment there"
            )

    @property
    def is_inherited(self) -> bool:
        """Is this a fork of the process that listens?"""
        return os.getpid() != self._process

    def receive(self, seconds: float) -> bytes | Interruption | None:
        """Return what the player says next, None if it says nothing for so long."""
        self.check_process()
        try:
            return self._inbox.get(timeout=seconds)
        except Empty:
            return None

    def answer(self, message: bytes) -> None:
        """Answer the call that waits."""
        self._outbox.put(message)

    def forget(self) -> None:
        """Let whoever greets next be the player: the one that did has left."""
        with self._introduction:
            self._caller = ""

    def dismiss(self) -> None:
        """Answer the call that waits, if any, and every later one, with the farewell."""
        self._ended = True
        for _ in range(_CALLS):
            self._outbox.put(self._farewell)

    def close(self) -> None:
        """Dismiss the player and listen no more; calling it twice is fine."""
        if self._closed or self.is_inherited:
            return
        self._closed = True
        self.dismiss()
        self._server.stop(_GRACE).wait()  # which is at once if no answer is on its way
        self._threads.shutdown()

    def exchange(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """Handle a call, in a thread of the server."""
        caller = context.peer()
        if self._caller and caller != self._caller:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "another player is being served")
        message = self._message(requests) if self._caller else self._introduce(requests, context)
        if self._ended:
            return self._farewell
        if isinstance(message, bytes) and self._is_last(message):
            self._inbox.put(message)
            self.dismiss()
            return self._farewell
        if not self._one.acquire(blocking=False):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "another call is being answered")
        try:
            self._inbox.put(message)
            if isinstance(message, Interruption):
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"messages have at most {self.limit} bytes")
            answer = self._outbox.get()
            if not context.is_active():
                self._inbox.put(Interruption.HUNG_UP)
            return answer
        finally:
            self._one.release()

    def _introduce(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes | Interruption:
        """Return the first message of a caller, which is the player from now on, or send it away."""
        silence = threading.Timer(_SILENCE, context.cancel)
        silence.daemon = True
        silence.start()
        message = self._message(requests)
        silence.cancel()
        if self._ended:
            return message
        if isinstance(message, Interruption):
            self.note_stranger("it says nothing, or too much")
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"messages have at most {self.limit} bytes")
        elif (why := self._why_stranger(message)) is not None:
            self.note_stranger(why)
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"a player is waited for: {why}")
        elif not context.is_active():
            self.note_stranger("it left before it was answered")
            context.abort(grpc.StatusCode.CANCELLED, "it left")
        with self._introduction:
            self._caller = self._caller or context.peer()
        if self._caller != context.peer():
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "another player is being served")
        return message

    def note_stranger(self, why: str) -> None:
        """Remember why a caller is no player; the first is told."""
        if not self.stranger and not self._caller:
            self.stranger = why
            log.warning("Something called port %d that is no player: %s. The player is waited for.", self.port, why)

    def _message(self, requests: Iterator[bytes]) -> bytes | Interruption:
        try:
            return next(requests)
        except (StopIteration, grpc.RpcError):
            return Interruption.REJECTED

    def _listen(self, address: str) -> None:
        place = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"
        try:
            self._server.add_insecure_port(place)
        except RuntimeError as error:
            raise OSError(f"port {self.port} is taken") from error


class _Threads(Executor):
    """A few threads that do not hold up a program that ends without closing."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._serve, name=f"player-{number}", daemon=True).start()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._work.put((future, partial(function, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let every thread go once it has no more work; nothing is waited for."""
        for _ in range(self._count):
            self._work.put(None)

    def _serve(self) -> None:
        while (task := self._work.get()) is not None:
            future, work = task
            try:
                future.set_result(work())
            except BaseException as error:  # it is raised where the future is asked
                future.set_exception(error)


class _Door(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Every call of the one method goes to the server as bytes.

    It is declared as a stream of one request, which is the same on the wire: so a request that is too long is noticed.
    """

    def __init__(self, server: ExchangeServer) -> None:
        self._server = server
        self._handler = grpc.stream_unary_rpc_method_handler(server.exchange)

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if call.method == METHOD:
            return self._handler
        self._server.note_stranger(f"it asks for the method {call.method[:100]!r}")
        return None


def is_free(address: str, port: int) -> bool:
    """Can this port be listened to?"""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where SO_REUSEADDR would share a taken port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:  # connections of an earlier run that are still closing do not matter
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError:
        return False
    return True

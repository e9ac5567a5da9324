"""The gRPC server that a player calls: every call delivers a message and waits for the reply."""

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
_CALLS = 16  # handled at once: a player needs one; the others are for callers that are rejected
_SILENCE = 2.0  # seconds in which a new caller must send its first message
_GRACE = 0.5  # seconds for the last reply to be sent


class Interruption(Enum):
    """What `receive` can return instead of a message."""

    DISCONNECTED = auto()  # the player left while it waited for a reply
    REJECTED = auto()  # its message was longer than the limit, or cut off


def _never_last(message: bytes) -> bool:
    return False


def _accept_any(message: bytes) -> str | None:
    return None


class ExchangeServer:
    """Listens for one player, whose calls come one after another: `receive` and `answer` take turns.

    The first caller whose message is a player's is the player; callers before it are rejected, with one line of log. A
    process that was forked from this one can neither send to the player nor end it.

    A call with the player's last message is answered at once, whatever the owner of this server does meanwhile: Unity
    waits for that reply on its main thread, without a deadline, and quits after it.
    """

    def __init__(
        self, port: int, *, address: str = LOOPBACK, limit: int = MESSAGE_LIMIT, closing_message: bytes = b"",
        is_last: Callable[[bytes], bool] = _never_last, why_not_player: Callable[[bytes], str | None] = _accept_any,
    ) -> None:  # fmt: skip
        """Listen; raises OSError if the port is taken.

        address: only this machine can connect to the loopback address. limit: of a message, in bytes. closing_message:
        the reply to the player's last call, and to every call after it. is_last: is this the player's last message?
        why_not_player: why a first message is not a player's, None if it is.
        """
        self.port = port
        self.limit = limit
        self._closing_message = closing_message
        self._is_last = is_last
        self._why_not_player = why_not_player
        self.rejected_caller = ""  # why the first caller that was rejected is no player
        self._process = os.getpid()
        self._inbox: SimpleQueue[bytes | Interruption] = SimpleQueue()
        self._outbox: SimpleQueue[bytes] = SimpleQueue()
        self._one = threading.Lock()  # held by the call that is being answered
        self._caller = ""  # the player, known by its first message
        self._introduction = threading.Lock()  # held while a caller becomes the player
        self._ended = False  # by either side: every call gets the closing message
        self._closed = False
        if not is_free(address, port):
            raise OSError(f"port {port} is taken")
        self._threads = _ThreadPool(_CALLS)
        self._server = grpc.server(
            self._threads,
            options=[
                ("grpc.so_reuseport", 0),  # a port that is taken is an error
                ("grpc.max_receive_message_length", limit),
                ("grpc.max_send_message_length", -1),
            ],
        )
        self._server.add_generic_rpc_handlers((_ExchangeHandler(self),))
        self._listen(address)
        if address == LOOPBACK and is_free(LOOPBACK_6, port):
            self._listen(LOOPBACK_6)  # Unity calls `localhost`, which may mean either
        self._server.start()

    def check_process(self) -> None:
        """Raise UnityEnvironmentException in a process that was forked from the one that listens."""
        if self.is_inherited:
            raise UnityEnvironmentException(
                "this environment was opened in another process and cannot be used in a fork; use multiprocessing with "
                "get_context('spawn') and open the environment there"
            )

    @property
    def is_inherited(self) -> bool:
        """Is this a fork of the process that listens?"""
        return os.getpid() != self._process

    def receive(self, seconds: float) -> bytes | Interruption | None:
        """Return the player's next message, None if none comes in so many seconds."""
        self.check_process()
        try:
            return self._inbox.get(timeout=seconds)
        except Empty:
            return None

    def answer(self, message: bytes) -> None:
        """Answer the call that waits."""
        self._outbox.put(message)

    def reset_caller(self) -> None:
        """Accept the next caller as the player: the present one has left."""
        with self._introduction:
            self._caller = ""

    def dismiss(self) -> None:
        """Answer the call that waits, if any, and every later one, with the closing message."""
        self._ended = True
        for _ in range(_CALLS):
            self._outbox.put(self._closing_message)

    def close(self) -> None:
        """Dismiss the player and stop the server; calling it twice is fine."""
        if self._closed or self.is_inherited:
            return
        self._closed = True
        self.dismiss()
        self._server.stop(_GRACE).wait()  # at once if no reply is being sent
        self._threads.shutdown()

    def exchange(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """Handle a call, in a thread of the server."""
        caller = context.peer()
        if self._caller and caller != self._caller:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "another player is being served")
        message = self._message(requests) if self._caller else self._introduce(requests, context)
        if self._ended:
            return self._closing_message
        if isinstance(message, bytes) and self._is_last(message):
            self._inbox.put(message)
            self.dismiss()
            return self._closing_message
        if not self._one.acquire(blocking=False):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "another call is being answered")
        try:
            self._inbox.put(message)
            if isinstance(message, Interruption):
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"messages have at most {self.limit} bytes")
            answer = self._outbox.get()
            if not context.is_active():
                self._inbox.put(Interruption.DISCONNECTED)
            return answer
        finally:
            self._one.release()

    def _introduce(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes | Interruption:
        """Return the first message of a caller, which is the player from now on, or reject it."""
        silence = threading.Timer(_SILENCE, context.cancel)
        silence.daemon = True
        silence.start()
        message = self._message(requests)
        silence.cancel()
        if self._ended:
            return message
        if isinstance(message, Interruption):
            self.note_rejected("it sent no message, or one that is too long")
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"messages have at most {self.limit} bytes")
        elif (why := self._why_not_player(message)) is not None:
            self.note_rejected(why)
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"expected a player: {why}")
        elif not context.is_active():
            self.note_rejected("it disconnected before it was answered")
            context.abort(grpc.StatusCode.CANCELLED, "it left")
        with self._introduction:
            self._caller = self._caller or context.peer()
        if self._caller != context.peer():
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "another player is being served")
        return message

    def note_rejected(self, why: str) -> None:
        """Remember and log why a caller is no player, for the first one that is rejected."""
        if not self.rejected_caller and not self._caller:
            self.rejected_caller = why
            log.warning("A caller on port %d is no player: %s. Still waiting for the player.", self.port, why)

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


class _ThreadPool(Executor):
    """A thread pool whose threads do not block the end of a program that never closed it."""

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
        """End every thread once it has no more work, without waiting for it."""
        for _ in range(self._count):
            self._work.put(None)

    def _serve(self) -> None:
        while (task := self._work.get()) is not None:
            future, work = task
            try:
                future.set_result(work())
            except BaseException as error:  # it is raised where the future's result is read
                future.set_exception(error)


class _ExchangeHandler(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Passes every call of the one method to the server as bytes.

    It is declared as a stream of one request, which is the same on the wire, to notice a request that is too long.
    """

    def __init__(self, server: ExchangeServer) -> None:
        self._server = server
        self._handler = grpc.stream_unary_rpc_method_handler(server.exchange)

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if call.method == METHOD:
            return self._handler
        self._server.note_rejected(f"it called the method {call.method[:100]!r}")
        return None


def is_free(address: str, port: int) -> bool:
    """Can a server listen on this port?"""
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

"""Callers that are no player are rejected and do not end the start."""

import logging
import socket
import threading
from contextlib import contextmanager, suppress

import grpc
import pytest

from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.exception import UnityTimeOutException
from mlagents_envs.wire import server as server_module
from mlagents_envs.wire.player_connection import PlayerConnection
from mlagents_envs.wire.replies import closing
from mlagents_envs.wire.server import METHOD

GARBAGE = b"\xff" * 40


def handshake_message(status=200, version="1.5.0"):
    message = UnityMessageProto()
    message.header.status = status
    message.unity_output.rl_initialization_output.communication_version = version
    return message.SerializeToString()


@contextmanager
def caller(port):
    with grpc.insecure_channel(f"localhost:{port}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield channel


def call(port, message, method=METHOD, timeout=10):
    """Return the code with which a call ends."""
    with caller(port) as channel:
        try:
            channel.unary_unary(method)(message, timeout=timeout, wait_for_ready=True)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def tcp(port, data):
    with socket.create_connection(("127.0.0.1", port)) as caller:
        caller.sendall(data)
        caller.settimeout(0.3)
        with suppress(OSError):
            caller.recv(100)


def cancelled(port):
    with caller(port) as channel:
        future = channel.unary_unary(METHOD).future(handshake_message(), wait_for_ready=True)
        with pytest.raises(grpc.FutureTimeoutError):
            future.result(0.3)
        future.cancel()


def silent(port):
    """Open more calls than are handled at once, and say nothing."""
    never = threading.Event()
    with caller(port) as channel:
        calls = [
            channel.stream_unary(METHOD).future((b"" for _ in range(1) if never.wait(20)), wait_for_ready=True)
            for _ in range(server_module._CALLS + 2)
        ]
        codes = [one.exception(timeout=20).code() for one in calls]
        never.set()
    return codes


CALLERS = {
    "a scanner of ports": lambda port: socket.create_connection(("127.0.0.1", port)).close(),
    "a request of HTTP": lambda port: tcp(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "bytes": lambda port: tcp(port, GARBAGE),
    "garbage": lambda port: call(port, GARBAGE),
    "nothing": lambda port: call(port, b""),
    "a message without a version": lambda port: call(port, closing().replace(b"\x90\x03", b"\xc8\x01")),
    "a closing message": lambda port: call(port, handshake_message(status=400)),
    "too much": lambda port: call(port, bytes(2000)),
    "a wrong method": lambda port: call(port, handshake_message(), METHOD + "s"),
}


@pytest.fixture
def connection(free_port):
    begun = PlayerConnection(free_port, None, worker=0, patience=10, limit=1000)
    yield begun
    begun.close(0)


def player(port, met, answered):
    """Greet, and wait for the first command."""
    with caller(port) as channel:
        exchange = channel.unary_unary(METHOD)
        met.append(exchange(handshake_message(), wait_for_ready=True, timeout=20))
        answered.wait(0)
        met.append(exchange(b"\x0a\x03\x08\xc8\x01", timeout=20))


def assert_player_is_served(connection, before):
    """Return what a player is answered that comes after somebody else."""
    met, answered, failed = [], threading.Event(), []

    def play_after():
        try:
            before(connection.port)
            player(connection.port, met, answered)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=play_after)
    thread.start()
    message = connection.handshake(b"welcome")
    assert message.initialization.communication_version == "1.5.0"
    assert met == [b"welcome"]
    connection.close(0)
    thread.join()
    assert not failed
    assert met[1] == closing()


@pytest.mark.parametrize("who", CALLERS)
def test_a_rejected_caller_before_the_player_does_not_end_the_start(connection, who):
    assert_player_is_served(connection, CALLERS[who])


def test_a_call_that_is_cancelled_before_the_player_comes_does_not_end_the_start(connection, monkeypatch):
    answer = connection._server.answer
    wait = threading.Event()
    first = []

    def late(message):  # the caller has left by then
        if not first:
            first.append(wait.wait(1.0))
        answer(message)

    monkeypatch.setattr(connection._server, "answer", late)
    assert_player_is_served(connection, lambda port: (cancelled(port), wait.wait(1.5)))


def test_silent_calls_are_ended_so_that_the_player_is_heard(connection, monkeypatch):
    monkeypatch.setattr(server_module, "_SILENCE", 0.5)
    codes = []
    assert_player_is_served(connection, lambda port: codes.extend(silent(port)))
    assert set(codes) <= {grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED}


def test_rejected_callers_are_logged_once_and_named_when_no_player_comes(free_port, caplog):
    caplog.set_level(logging.INFO, server_module.__name__)
    connection = PlayerConnection(free_port, None, worker=0, patience=1, limit=1000)
    try:
        assert call(connection.port, GARBAGE) is grpc.StatusCode.INVALID_ARGUMENT
        assert call(connection.port, handshake_message(status=400)) is grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(UnityTimeOutException, match=rf"A caller on port {free_port} is no player: what it sent is no"):
            connection.handshake(b"welcome")
    finally:
        connection.close(0)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_second_player_is_refused_while_the_first_is_served(connection):
    with caller(connection.port) as first:
        answer = first.unary_unary(METHOD).future(handshake_message(), wait_for_ready=True, timeout=20)
        thread = threading.Thread(target=lambda: connection.handshake(b"welcome"), daemon=True)
        thread.start()
        assert answer.result() == b"welcome"
        assert call(connection.port, handshake_message()) is grpc.StatusCode.FAILED_PRECONDITION
        second = first.unary_unary(METHOD).future(b"\x0a\x03\x08\xc8\x01", timeout=20)
        thread.join()
        connection.close(0)
        assert second.result() == closing()

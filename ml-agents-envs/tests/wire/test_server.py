"""The place that players call, and what callers can do to it."""

import socket
import subprocess
import sys
import threading
import time

import grpc
import psutil
import pytest

from mlagents_envs.wire.server import METHOD, ExchangeServer, Interruption, is_free


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def server():
    server = ExchangeServer(free_port(), limit=1000, closing_message=b"bye", is_last=lambda message: message == b"I quit")
    yield server
    server.close()


def caller(server):
    return grpc.insecure_channel(f"localhost:{server.port}", options=[("grpc.use_local_subchannel_pool", 1)])


def call(channel, message, timeout=20):
    return channel.unary_unary(METHOD).future(message, timeout=timeout, wait_for_ready=True)


def test_calls_are_answered_in_turn(server):
    with caller(server) as channel:
        for turn in range(3):
            answer = call(channel, b"question %d" % turn)
            assert server.receive(10) == b"question %d" % turn
            server.answer(b"answer %d" % turn)
            assert answer.result() == b"answer %d" % turn


def test_silence_is_nothing(server):
    assert server.receive(0.01) is None


def test_the_call_that_waits_gets_the_last_word(server):
    with caller(server) as channel:
        answer = call(channel, b"hello")
        assert server.receive(10) == b"hello"
        server.close()
        assert answer.result() == b"bye"


def test_a_taken_port_is_an_error(server):
    assert not is_free("127.0.0.1", server.port)
    with pytest.raises(OSError, match="taken"):
        ExchangeServer(server.port)


def test_the_port_is_free_again_after_the_end():
    server = ExchangeServer(free_port())
    server.close()
    server.close()
    again = ExchangeServer(server.port)
    again.close()


def test_only_this_machine_is_listened_to(server):
    listening = psutil.Process().net_connections("tcp")
    addresses = {place.laddr.ip for place in listening if place.laddr.port == server.port and place.status == "LISTEN"}
    assert addresses
    assert addresses <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_a_message_that_is_too_long_is_noticed_and_the_caller_is_told(server):
    with caller(server) as channel:
        first = call(channel, b"hello")
        assert server.receive(10) == b"hello"
        server.answer(b"welcome")
        assert first.result() == b"welcome"
        answer = call(channel, bytes(2000))
        assert server.receive(10) is Interruption.REJECTED
        with pytest.raises(grpc.RpcError) as refused:
            answer.result()
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_another_caller_is_sent_away_and_the_first_is_served_on(server):
    with caller(server) as first, caller(server) as second:
        answer = call(first, b"hello")
        assert server.receive(10) == b"hello"
        with pytest.raises(grpc.RpcError) as refused:
            call(second, b"me too").result()
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        server.answer(b"welcome")
        assert answer.result() == b"welcome"
        assert server.receive(0.01) is None


def test_a_caller_that_does_not_wait_for_its_answer_is_sent_away(server):
    with caller(server) as channel:
        answer = call(channel, b"one")
        assert server.receive(10) == b"one"
        with pytest.raises(grpc.RpcError):
            call(channel, b"two").result()
        server.answer(b"first")
        assert answer.result() == b"first"


def test_the_last_message_is_answered_at_once_while_it_is_waited_for(server):
    with caller(server) as channel:
        answer = call(channel, b"I quit")
        assert server.receive(10) == b"I quit"
        assert answer.result() == b"bye"


def test_the_last_message_is_answered_at_once_while_nobody_listens(server):
    with caller(server) as channel:
        assert call(channel, b"I quit").result() == b"bye"
    assert server.receive(10) == b"I quit"


def test_the_last_message_is_answered_at_once_while_another_call_waits_which_is_freed(server):
    with caller(server) as channel:
        waiting = call(channel, b"hello")
        assert server.receive(10) == b"hello"
        assert call(channel, b"I quit").result() == b"bye"
        assert waiting.result() == b"bye"
        assert server.receive(10) == b"I quit"


def test_every_call_after_the_end_gets_the_last_word(server):
    with caller(server) as channel:
        waiting = call(channel, b"hello")
        assert server.receive(10) == b"hello"
        server.dismiss()
        assert waiting.result() == b"bye"
        assert call(channel, b"I quit").result() == b"bye"
        assert call(channel, b"hello?").result() == b"bye"
        assert server.receive(0) is None


def test_another_caller_cannot_end_the_connection_of_the_player(server):
    with caller(server) as first, caller(server) as second:
        answer = call(first, b"hello")
        assert server.receive(10) == b"hello"
        with pytest.raises(grpc.RpcError):
            call(second, b"I quit").result()
        server.answer(b"welcome")
        assert answer.result() == b"welcome"


def test_a_caller_that_left_is_noticed(server):
    with caller(server) as channel:
        answer = call(channel, b"hello")
        assert server.receive(10) == b"hello"
        answer.cancel()
        time.sleep(0.3)
        server.answer(b"are you there?")
        assert server.receive(10) is Interruption.DISCONNECTED


def test_another_method_is_unknown(server):
    with caller(server) as channel, pytest.raises(grpc.RpcError) as unknown:
        channel.unary_unary("/communicator_objects.UnityToExternalProto/Initialize")(b"", timeout=10, wait_for_ready=True)
    assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_bytes_that_are_not_even_http_do_no_harm(server):
    with socket.create_connection(("127.0.0.1", server.port)) as plain_socket:
        plain_socket.sendall(b"\x00garbage" * 1000)
    with caller(server) as channel:
        answer = call(channel, b"hello")
        assert server.receive(10) == b"hello"
        server.answer(b"welcome")
        assert answer.result() == b"welcome"


def test_a_program_that_forgets_to_close_still_ends():
    program = (
        "import grpc, socket\n"
        "from mlagents_envs.wire.server import METHOD, ExchangeServer\n"
        f"server = ExchangeServer({free_port()})\n"
        "channel = grpc.insecure_channel(f'localhost:{server.port}')\n"
        "waiting = channel.unary_unary(METHOD).future(b'hello', wait_for_ready=True)\n"
        "print(server.receive(20))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "b'hello'"
    assert done.returncode == 0, done.stderr


def test_answers_can_be_given_before_anyone_waits(server):
    threading.Timer(0.1, server.answer, [b"early"]).start()
    with caller(server) as channel:
        assert call(channel, b"hello").result() == b"early"

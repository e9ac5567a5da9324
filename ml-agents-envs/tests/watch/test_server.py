import http.client
import json
import socket
import threading
from urllib.parse import quote

import pytest

from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.watch import server as module
from mlagents_envs.watch.server import HOST, PORTS, Server


@pytest.fixture
def server():
    made = Server(0)
    yield made
    if not made._closed:
        made.close()


@pytest.fixture
def line(server):
    made = http.client.HTTPConnection(HOST, server.port, timeout=30)
    yield made
    made.close()


def get(line, path, **headers):
    line.request("GET", path, headers=headers)
    answer = line.getresponse()
    return answer, answer.read()


def post(line, body, path="/order", kind="application/json", **headers):
    line.request("POST", path, body, {"Content-Type": kind, **headers})
    answer = line.getresponse()
    answer.read()
    return answer.status


def wait_for_page(server):
    while not server.waiting:
        threading.Event().wait(0.001)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "text/html"), ("/view.js", "text/javascript"), ("/scene.js", "text/javascript"), ("/view.css", "text/css")],
)
def test_the_page_is_served(line, path, kind):
    answer, body = get(line, path)
    assert answer.status == 200 and answer.getheader("Content-Type").startswith(kind) and len(body) > 500


def test_the_page_needs_nothing_from_elsewhere(line):
    for path in ("/", "/view.js", "/scene.js", "/view.css"):
        assert b"http" not in get(line, path)[1]


def test_other_paths_are_not_there(line):
    assert get(line, "/../server.py")[0].status == 404
    assert get(line, "/server.py")[0].status == 404


def test_a_frame_that_is_there_is_handed_over(server, line):
    server.show(b"one")
    answer, body = get(line, "/frame?after=0")
    assert (body, answer.getheader("Frame")) == (b"one", "1")


def test_a_page_waits_for_a_frame_that_it_has_not_seen(server, line):
    server.show(b"one")
    assert server.waiting == 0
    line.request("GET", "/frame?after=1")
    wait_for_page(server)
    server.show(b"two")
    assert server.waiting == 0
    assert line.getresponse().read() == b"two"


def test_all_pages_that_wait_get_the_frame(server):
    lines = [http.client.HTTPConnection(HOST, server.port, timeout=30) for _ in range(3)]
    for line in lines:
        line.request("GET", "/frame")
    while server.waiting < 3:
        threading.Event().wait(0.001)
    server.show(b"one")
    assert [line.getresponse().read() for line in lines] == [b"one"] * 3
    for line in lines:
        line.close()


def test_a_page_of_an_older_run_gets_the_newest_frame(server, line):
    server.show(b"one")
    assert get(line, "/frame?after=512")[1] == b"one"


def test_a_question_does_not_stay_open_for_ever(line, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    assert get(line, "/frame")[0].status == 204


def test_commands_come_in_order(server, line):
    assert post(line, json.dumps({"pause": True})) == 204
    assert post(line, json.dumps({"step": 1})) == 204
    assert server.commands(patience=10) == [{"pause": True}, {"step": 1}]
    assert server.commands() == []


@pytest.mark.parametrize("body", ["no JSON", "[1]", "\xff"])
def test_invalid_commands_are_refused(server, line, body):
    assert post(line, body.encode("latin-1")) == 400
    assert server.commands() == []


def test_there_is_one_path_for_commands(server, line):
    assert post(line, "{}", path="/frame") == 404
    assert server.commands() == []


def test_commands_of_other_sites_are_refused(server, line):
    # a form or a script elsewhere can send text, but no JSON without being allowed to
    assert post(line, '{"pause": true}', kind="text/plain") == 400
    assert post(line, '{"pause": true}', Host=f"evil.example:{server.port}") == 403
    assert server.commands() == []


def test_whoever_comes_by_a_foreign_name_sees_nothing(server, line):
    assert get(line, "/", Host="evil.example")[0].status == 403


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "localhost:1234", "[::1]:80"])
def test_names_of_this_machine_are_known_whatever_the_port(line, name):
    assert get(line, "/", Host=name)[0].status == 200


def test_a_long_command_is_not_read(line):
    assert post(line, json.dumps({"keys": ["x"] * 10000})) == 400


def test_it_listens_to_this_machine_only(server):
    assert server._server.server_address[0] == HOST


def test_a_taken_port_is_passed_over(free_port):
    with socket.create_server((HOST, free_port)):
        other = Server(free_port)
        assert free_port < other.port < free_port + PORTS
        assert other.address == f"http://127.0.0.1:{other.port}/"
        other.close()


def test_no_free_port_is_a_sentence(free_port, monkeypatch):
    monkeypatch.setattr(module, "PORTS", 1)
    with (
        socket.create_server((HOST, free_port)),
        pytest.raises(
            UnityEnvironmentException, match=f"^port {free_port}: neither it nor .*; give another with --port$"
        ),
    ):
        Server(free_port)


def test_closing_tells_those_who_wait_and_frees_the_port(server, line):
    line.request("GET", "/frame")
    wait_for_page(server)
    server.close()
    assert line.getresponse().status == 410
    again = Server(server.port)
    assert again.port == server.port
    again.close()


def test_a_page_that_leaves_in_the_middle_disturbs_nobody(server, line, capsys):
    with socket.create_connection((HOST, server.port)) as short:
        short.sendall(b"GET /frame HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_for_page(server)
    server.show(b"x" * 10_000_000)
    assert get(line, "/frame")[1][:1] == b"x"
    assert capsys.readouterr().err == ""


# what no page does


@pytest.mark.parametrize("number", ["-1", "1e309", "\u00b2", "\u0663", "9" * 16, "9" * 5000, "nan", "0x1", "", "1 2"])
def test_numbers_that_are_none_are_bad_requests_and_no_traceback(server, capfd, number):
    quoted = quote(number)
    if number:  # an empty one is none, as if it had been left out
        assert raw(server, f"GET /frame?after={quoted} HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 400")
    head = "POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    assert raw(server, f"{head}{number}\r\n\r\n{{}}").startswith(b"HTTP/1.1 400")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "request_line", ["GET http://[/frame HTTP/1.1", "GET //[ HTTP/1.1", "GET /%00%ff HTTP/1.1", "\x00\x01", "GET", "X / HTTP/9"]
)
def test_requests_that_are_none_get_an_answer_and_no_traceback(server, capfd, request_line):
    assert raw(server, f"{request_line}\r\nHost: localhost\r\n\r\n")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("body", ["[" * 4000, '{"a":' * 800, "{", "\xff", "[NaN]", "3"])
def test_invalid_bodies_are_bad_requests_and_no_traceback(server, line, capfd, body):
    assert post(line, body.encode("latin-1")) == 400
    assert server.commands() == []
    assert capfd.readouterr() == ("", "")


def raw(server, text):
    """Return the beginning of what is answered to these bytes."""
    with socket.create_connection((HOST, server.port), timeout=20) as connection:
        connection.sendall(text.encode("utf-8"))
        return connection.recv(1000)


def test_a_connection_that_says_nothing_or_half_of_it_is_closed(server, monkeypatch, capfd):
    monkeypatch.setattr(module._Handler, "timeout", 0.2)
    for request in (b"", b"GET / HT", b"POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                 b"Content-Length: 100\r\n\r\n{"):  # fmt: skip
        with socket.create_connection((HOST, server.port), timeout=20) as connection:
            connection.sendall(request)
            assert connection.recv(1000) == b""
    assert capfd.readouterr() == ("", "")


def test_connections_are_few_and_a_page_still_gets_through(server, line):
    before = threading.active_count()
    others = [socket.create_connection((HOST, server.port), timeout=20) for _ in range(3 * module.MOST_OPEN)]
    try:
        assert get(line, "/")[0].status == 200
        assert others[0].recv(1) == b""  # the oldest
        assert threading.active_count() - before <= module.MOST_OPEN + 5
    finally:
        for other in others:
            other.close()


def test_commands_that_are_not_read_do_not_pile_up(server, monkeypatch):
    for _ in range(module.MOST_COMMANDS + 10):
        server.take({})
    assert len(server.commands()) == module.MOST_COMMANDS

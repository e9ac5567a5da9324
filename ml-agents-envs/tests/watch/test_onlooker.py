import http.client
import threading
import time

import numpy as np
import pytest

from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.look.look import draw
from mlagents_envs.watch.frames import decode
from mlagents_envs.watch.onlooker import Onlooker


@pytest.fixture(params=[False, True], ids=["ids kept", "ids renewed"])
def watched(free_port, request):
    env = make("Basic", areas=2, renew_ids=request.param)
    onlooker = Onlooker(env, title="Basic, run first", port=free_port)
    env.reset()
    onlooker.begin()
    yield env, onlooker
    onlooker.close()


def test_nothing_is_drawn_while_nobody_looks(watched):
    env, onlooker = watched
    for _ in range(50):
        env.step()
        onlooker.look()
    assert onlooker._server._number == 0


def test_a_page_sees_the_next_decision(watched):
    env, onlooker = watched
    line = http.client.HTTPConnection("127.0.0.1", onlooker._server.port, timeout=30)
    line.request("GET", "/frame")
    while not onlooker._server.waiting:
        threading.Event().wait(0.001)
    env.step()
    onlooker.look()
    facts, (boxes, _, agents) = decode(line.getresponse().read())
    line.close()
    assert (facts["mode"], facts["title"], facts["agent"]["step"]) == ("training", "Basic, run first", "1")
    assert len(boxes) > 0 and len(agents) == 2


def test_pages_that_ask_too_often_are_answered_later(watched):
    env, onlooker = watched
    for _ in range(20):
        onlooker._server.waiting = 1
        onlooker._due = max(onlooker._due, 1e12) if onlooker._server._number else 0.0
        env.step()
        onlooker.look()
    assert onlooker._server._number == 1


def test_the_returns_of_the_whole_run_are_kept(watched):
    env, onlooker = watched
    for _ in range(7):
        decision, _ = env.get_steps(env.behavior)
        action = env.SPEC.action_spec.empty_action(len(decision))
        action.discrete[:] = 2
        env.set_actions(env.behavior, action)
        env.step()
        onlooker.look()
    assert onlooker._stage.returns.curve.points == pytest.approx([0.93, 0.93])
    env.reset()
    onlooker.begin()
    for _ in range(7):
        env.set_actions(env.behavior, action)
        env.step()
        onlooker.look()
    assert onlooker._stage.returns.curve.points == pytest.approx([0.93] * 4)


def test_a_page_can_choose_what_it_sees(watched):
    env, onlooker = watched
    onlooker._server.take({"area": 1})
    onlooker._server.waiting = 1
    env.step()
    onlooker.look()
    facts, (_, _, agents) = decode(onlooker._server._frame)
    assert facts["area"] == 1 and len(agents) == 1
    assert np.array_equal(agents, draw(env, [1]).agents)


def test_the_pace_is_told_once_it_is_known(watched):
    env, onlooker = watched
    paces = []
    for since in (1000.0, -10.0):  # s from now on
        onlooker._since, onlooker._due = time.monotonic() + since, 0.0
        onlooker._server.waiting = 1
        env.step()
        onlooker.look()
        paces.append(decode(onlooker._server._frame)[0]["pace"])
    assert paces[0] == "Training" and paces[1].endswith("decisions a second, each of all agents")

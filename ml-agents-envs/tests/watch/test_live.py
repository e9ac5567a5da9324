import pytest

from mlagents_envs.examples.catalog import make
from mlagents_envs.watch.frames import decode
from mlagents_envs.watch.live import FASTEST, Live
from mlagents_envs.watch.play import Play
from mlagents_envs.watch.policies import IdlePolicy
from mlagents_envs.watch.server import Server
from mlagents_envs.watch.stage import Stage


@pytest.fixture
def server():
    made = Server(0)
    yield made
    made.close()


@pytest.fixture
def live(server):
    def begin(name="Basic", **options):
        env = make(name, areas=2)
        play = Play(env, {behavior: IdlePolicy(env.SPEC) for behavior in env.BEHAVIORS})
        return Live(play, Stage(env, title=name), server, **options)

    return begin


def facts(server):
    return decode(server._frame)[0]


def test_it_plays_decision_after_decision(live, server):
    made = live()
    server.take({"speed": FASTEST})
    made.run(decisions=5)
    assert made.decisions == 5
    assert made._stage.returns.length.tolist() == [5, 5]


def test_nothing_is_drawn_while_nobody_looks(live, server):
    made = live()
    server.take({"speed": FASTEST})
    made.run(decisions=50)
    assert server._number == 1  # the first one, for whoever comes


def test_a_pause_stops_and_steps_go_on_one_by_one(live, server):
    made = live()
    server.take({"pause": True})
    made.turn()
    made.turn()
    assert (made.decisions, made.paused) == (0, True)
    server.take({"step": 2})
    for _ in range(4):
        made.turn()
    assert (made.decisions, made.paused) == (2, True)


def test_a_page_that_waits_sees_at_once_what_a_step_did(live, server):
    made = live()
    server.take({"pause": True})
    made.turn()
    server.waiting = 1
    server.take({"step": 1})
    made.turn()
    assert (facts(server)["decisions"], facts(server)["paused"]) == (1, True)
    assert facts(server)["agent"]["step"] == "1"


def test_commands_are_answered_with_a_frame_although_it_is_paused(live, server):
    made = live()
    server.take({"pause": True})
    made.turn()
    server.waiting = 1
    server.take({"pick": 1})
    made.turn()
    assert facts(server)["picked"] == 1


def test_a_page_that_asks_a_moment_later_hears_of_the_pause_all_the_same(live, server):
    made = live()
    server.take({"pause": True})
    made.turn()
    server.waiting = 1
    made.turn()
    assert facts(server)["paused"]
    server.waiting = 1
    number = server._number
    made.turn()
    assert server._number == number  # nothing is new


def test_keys_drive_the_agent_that_is_picked(live, server):
    made = live(keyboard=True)
    server.take({"pick": 1})
    server.take({"keys": ["ArrowRight"]})
    server.take({"step": 3})
    for _ in range(6):
        made.turn()
    assert made._play.example.position.tolist() == [10, 13]
    server.take({"keys": ["a"]})
    server.take({"step": 1})
    made.turn()
    assert made._play.example.position.tolist() == [10, 12]
    server.take({"keys": []})
    server.take({"step": 1})
    made.turn()
    assert made._play.example.position.tolist() == [10, 12]


def test_a_tap_between_two_decisions_counts_for_one(live, server):
    made = live(keyboard=True)
    server.take({"pause": True})
    server.take({"keys": ["d"]})
    server.take({"keys": []})
    server.take({"step": 2})
    server.waiting = 1
    made.turn()
    assert made._play.example.position.tolist() == [11, 10]
    made.turn()
    assert made._play.example.position.tolist() == [11, 10]


def test_keys_are_not_heard_unless_that_was_asked_for(live, server):
    made = live()
    server.take({"keys": ["d"], "step": 2})
    for _ in range(3):
        made.turn()
    assert made._play.example.position.tolist() == [10, 10]


def test_the_page_is_told_which_keys_there_are_and_are_held(live, server):
    made = live(keyboard=True)
    server.take({"keys": ["w", "d", 5], "pause": True})
    server.waiting = 1
    made.turn()
    assert (facts(server)["keys"], facts(server)["held"]) == (["left", "right"], ["right"])


@pytest.mark.parametrize(
    "command",
    [{"speed": 0}, {"speed": 1e9}, {"speed": "x"}, {"pause": 1}, {"step": -1}, {"step": 10**9}, {"keys": "d"}, {}],
)
def test_invalid_commands_are_ignored(live, server, command):
    made = live(keyboard=True)
    server.take(command)
    made._due += 1000  # no decision comes in between
    made.turn()
    assert (made.speed, made.paused, made.decisions, made._held) == (1.0, False, 0, {})


def test_a_recording_keeps_its_agent_and_is_counted(live, server, tmp_path):
    pytest.importorskip("mlagents_envs.demonstrations.recording")
    from mlagents_envs.demonstrations.file import read
    from mlagents_envs.watch.demo import DemoRecording

    made = live(keyboard=True)
    with DemoRecording(tmp_path / "mine.demo", made._play.example, 0) as demo:
        made = Live(made._play, made._stage, server, keyboard=True, demo=demo)
        server.take({"pick": 1, "keys": ["d"], "step": 7})
        for _ in range(8):
            made.turn()
        made._show()
        assert (facts(server)["recorded"], facts(server)["picked"], facts(server)["may_pick"]) == (8, 0, False)
    recorded = read(tmp_path / "mine.demo")
    assert recorded.action.discrete[:, 0].tolist() == [0] + [2] * 7  # each record has the action that led to it
    assert recorded.reward[-1] == pytest.approx(0.99) and recorded.done.tolist() == [False] * 7 + [True]

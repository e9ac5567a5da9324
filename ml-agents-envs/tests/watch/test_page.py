"""The page in a real browser, used as a user uses it."""

import os
import threading

import numpy as np
import pytest

from mlagents_envs.examples.catalog import make
from mlagents_envs.watch.live import Live
from mlagents_envs.watch.play import Play
from mlagents_envs.watch.policies import IdlePolicy, RandomPolicy
from mlagents_envs.watch.server import Server
from mlagents_envs.watch.stage import Stage

from .chromium import Browser, Tab, find, until
from .watcher import Watcher

WINDOWS = [(390, 844), (844, 390), (1280, 800)]  # a phone both ways, and a desk


@pytest.fixture(scope="module")
def chromium():
    program = find()
    if program is None:
        pytest.skip("there is no Chromium, Chrome or Edge on the PATH, which the page is tried in")
    browser = Browser(program)
    yield browser
    browser.close()


@pytest.fixture
def new_tab(chromium):
    made = []

    def new():
        made.append(Tab(chromium))
        return made[-1]

    yield new
    for tab in made:
        tab.close()


@pytest.fixture
def tab(new_tab):
    return new_tab()


class Show:
    """An example that is shown and played in a thread until it ends."""

    def __init__(self, name, *, areas=4, keyboard=False, port=0):
        self.env = make(name, areas=areas)
        player = IdlePolicy if keyboard else RandomPolicy
        play = Play(self.env, {behavior: player(self.env.SPEC) for behavior in self.env.BEHAVIORS})
        self.server = Server(port)
        self.live = Live(play, Stage(self.env, title=name), self.server, keyboard=keyboard)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        self.live._show()
        while not self._over.is_set():
            self.live.turn()

    @property
    def address(self):
        return self.server.address

    def end(self):
        if not self._over.is_set():
            self._over.set()
            self._thread.join()
            self.server.close()


@pytest.fixture
def show():
    begun = []

    def begin(name="3DBall", **options):
        begun.append(Show(name, **options))
        return begun[-1]

    yield begin
    for shown in begun:
        shown.end()


def pause(tab):
    """Pause, and return the picture once nothing moves in it any more."""
    tab.click("#pause")
    tab.until_text("#pause", "Play")
    return settled(tab)


def settled(tab):
    pictures = [tab.picture()]

    def still():
        pictures.append(tab.picture())
        return np.array_equal(pictures[-2], pictures[-1])

    until(still, lambda: "the page never comes to rest")
    return pictures[-1]


def until_other(tab, picture):
    """Wait until the page looks different."""
    until(lambda: not np.array_equal(tab.picture(), picture), lambda: "the page does not change")


def label(tab, agent):
    """Where an agent is seen."""
    x, y, width, height = tab.ask(
        f"(() => {{const r = [...document.querySelectorAll('#labels span')].find((s) => s.textContent === '{agent}')"
        ".getBoundingClientRect(); return [r.x, r.y, r.width, r.height]})()"
    )
    return x + width / 2, y + height + 14


def test_the_page_loads_without_a_complaint(tab, show):
    tab.open(show().address)
    tab.until("document.querySelectorAll('#labels span').length === 4")
    tab.picture()
    assert (tab.text("#title"), tab.ask("document.title"), tab.text("#message")) == ("3DBall", "3DBall", "")
    assert tab.complaints == []


def test_bodies_move_until_a_pause_stops_them(tab, show):
    shown = show()
    tab.open(shown.address)
    until_other(tab, tab.picture())
    rest = pause(tab)
    decisions = shown.live.decisions
    assert np.array_equal(settled(tab), rest) and shown.live.decisions == decisions
    tab.click("#pause")
    tab.until_text("#pause", "Pause")
    until_other(tab, rest)


def test_p_pauses_and_plays_as_its_button_does(tab, show):
    tab.open(show().address)
    tab.press("p")
    tab.until_text("#pause", "Play")
    tab.release("p")
    tab.press("p")
    tab.until_text("#pause", "Pause")


@pytest.mark.parametrize("way", ["button", "key"])
def test_a_step_moves_on_by_one_decision(way, tab, show):
    shown = show()
    tab.open(shown.address)
    rest = pause(tab)
    decisions = shown.live.decisions
    tab.click("#step") if way == "button" else tab.press("n")
    until_other(tab, rest)
    assert shown.live.decisions == decisions + 1


def test_the_speed_is_doubled_and_halved(tab, show):
    shown = show()
    tab.open(shown.address)
    tab.click("#faster")
    tab.until_text("#speed", "2\N{MULTIPLICATION SIGN}")
    assert shown.live.speed == 2
    for label in ("1\N{MULTIPLICATION SIGN}", "1/2\N{MULTIPLICATION SIGN}"):
        tab.click("#slower")
        tab.until_text("#speed", label)
    assert shown.live.speed == 0.5


def test_an_agent_is_picked_in_the_list_and_by_a_click(tab, show):
    tab.open(show().address)
    pause(tab)
    tab.choose("#agent", "3")
    tab.until_text("#labels .picked", "3")
    tab.click_at(*label(tab, 1))
    tab.until_text("#labels .picked", "1")
    tab.until("document.querySelector('#agent').value === '1'")


def test_one_area_is_shown_alone(tab, show):
    tab.open(show().address)
    tab.choose("#area", "2")
    tab.until("[...document.querySelectorAll('#labels span')].map((s) => s.textContent).join() === '2'")
    tab.choose("#area", "-1")
    tab.until("document.querySelectorAll('#labels span').length === 4")


def test_areas_that_are_too_many_to_be_shown_are_counted(tab, show):
    tab.open(show("Basic", areas=40).address)
    assert tab.ask("document.querySelector('#area').options[0].text") == "32 of 40"


def test_the_curve_appears_when_episodes_end(tab, show):
    shown = show(areas=12)
    tab.open(shown.address)
    shown.server.take({"speed": 64})
    tab.until("document.querySelector('#episodes').textContent.includes('so far')")
    tab.until("!document.querySelector('#curve').hidden")
    ink = "document.querySelector('#curve').getContext('2d').getImageData(0, 0, 480, 160).data.some((v) => v > 0)"
    tab.until(ink)


def test_the_camera_turns_moves_and_comes_nearer_and_fits_again(tab, show):
    tab.open(show().address)
    pause(tab)
    tab.click("#fit")
    rest = settled(tab)
    tab.scroll(550, 250, -300)
    until_other(tab, rest)
    nearer = settled(tab)
    tab.drag((550, 250), (600, 280), button="right")
    until_other(tab, nearer)
    tab.press("f")
    assert np.array_equal(settled(tab), rest)
    tab.drag((550, 250), (600, 280))
    until_other(tab, rest)


def test_two_fingers_come_nearer(tab, show):
    tab.open(show().address)
    rest = pause(tab)
    before = [label(tab, agent) for agent in (0, 3)]
    for kind, apart in [("touchStart", 20), ("touchMove", 40), ("touchEnd", None)]:
        fingers = [] if apart is None else [{"x": 550 + side * apart, "y": 250, "id": side} for side in (0, 1)]
        tab.call("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)
    until_other(tab, rest)
    settled(tab)
    after = [label(tab, agent) for agent in (0, 3)]
    assert np.ptp(after, axis=0).max() > 1.2 * np.ptp(before, axis=0).max()


def test_a_page_that_loses_its_picture_begins_anew(tab, show):
    tab.open(show().address)
    lost = "document.querySelector('#scene').getContext('webgl2').getExtension('WEBGL_lose_context')"
    tab.ask(f"window.marked = {lost}; marked.loseContext()")
    tab.until("window.marked ? (marked.restoreContext(), false) : true")
    tab.until("document.querySelectorAll('#labels span').length === 4")
    until_other(tab, tab.picture())


def test_keys_drive_the_agent_that_is_picked(tab, show):
    shown = show("Basic", keyboard=True)
    tab.open(shown.address)
    tab.choose("#agent", "2")
    tab.until("document.querySelector('#agent').value === '2'")
    until(lambda: shown.live._stage.picked == 2, lambda: "nobody else is picked")
    tab.press("ArrowRight")
    tab.until_text("#keys .held", "→ D")
    until(lambda: shown.env.position[2] > 11, lambda: "the agent does not move")
    tab.release("ArrowRight")
    until(lambda: not shown.live._held, lambda: "the key stays down")
    assert shown.env.position[[0, 1, 3]].tolist() == [10, 10, 10]


def test_keys_that_are_tapped_fast_do_not_stay_down(tab, show):
    shown = show("Basic", keyboard=True)
    tab.open(shown.address)
    for key in "adadadad":
        tab.press(key)
        tab.release(key)
    tab.press("n")  # heard after all others
    until(lambda: shown.live.paused, lambda: "the last key is not heard")
    assert shown.live._held == {}


def test_keys_are_let_go_of_when_the_page_is_reloaded(tab, show):
    shown = show("Basic", keyboard=True)
    tab.open(shown.address)
    tab.press("a")
    until(lambda: shown.live._held, lambda: "the key is not heard")
    tab.reload()
    until(lambda: not shown.live._held, lambda: "the key stays down")


def test_caps_are_pressed_as_keys_are(tab, show):
    shown = show("Basic", keyboard=True)
    tab.open(shown.address)
    tab.click("[data-key=left]")
    until(lambda: shown.env.position[0] == 9, lambda: "the agent does not move")
    until(lambda: not shown.live._held, lambda: "the key stays down")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no Ctrl-C for another process alone")
def test_what_keys_do_is_recorded(tab, tmp_path):
    pytest.importorskip("mlagents_envs.demonstrations.recording")
    from mlagents_envs.demonstrations.file import read

    file = tmp_path / "mine.demo"
    watcher = Watcher("builtin:Basic", "--port", "0", "--keyboard", "--record-demo", str(file))
    try:
        tab.open(watcher.address)
        tab.press("ArrowRight")
        tab.until("document.querySelector('#episodes').textContent.includes('1 so far')")
        tab.release("ArrowRight")
        tab.press("ArrowLeft")
        until(lambda: tab.fact("action") == "1", lambda: "the other key is not heard")
        until(lambda: int(tab.fact("step")) >= 2, lambda: "no record follows")  # the next one holds that action
    finally:
        _, err = watcher.end()
    recorded = read(file)
    first = recorded.done.tolist().index(True)
    did = recorded.action.discrete[: first + 1, 0].tolist()  # each record has the action that led to it
    assert err == ""
    assert did == [0] * did.count(0) + [2] * 7 and recorded.reward[first] == pytest.approx(0.99)
    assert 1 in recorded.action.discrete[first:, 0]


def test_a_page_that_is_reloaded_goes_on(tab, show):
    shown = show()
    tab.open(shown.address)
    pause(tab)
    tab.reload()
    tab.until_text("#pause", "Play")
    tab.until("document.querySelectorAll('#labels span').length === 4")
    assert tab.complaints == []


def test_two_pages_show_the_same(new_tab, show):
    shown, pages = show(), (new_tab(), new_tab())
    for page in pages:
        page.open(shown.address)
    pages[0].click("#pause")
    for page in pages:
        page.until_text("#pause", "Play")
        page.click("#fit")
    first, second = (settled(page) for page in pages)
    assert np.array_equal(first, second)


def test_a_page_that_nobody_sees_asks_for_nothing(tab, show):
    shown = show()
    tab.open(shown.address)
    tab.ask("Object.defineProperty(document, 'hidden', {configurable: true, get: () => true})")
    frames, decisions = shown.server._number, shown.live.decisions
    until(lambda: shown.live.decisions > decisions + 10, lambda: "nothing goes on")
    assert shown.server._number <= frames + 2  # one was under way
    tab.ask("Object.defineProperty(document, 'hidden', {get: () => false});"
            "document.dispatchEvent(new Event('visibilitychange'))")  # fmt: skip
    until(lambda: shown.server._number > frames + 4, lambda: "the page does not wake up")


def test_a_page_tells_that_its_program_has_ended_and_goes_on_with_the_next(tab, show):
    shown = show()
    tab.open(shown.address)
    shown.end()
    tab.until("document.querySelector('#message').textContent.startsWith('The program that showed this has ended.')")
    show("Basic", areas=2, port=shown.server.port)
    tab.until_text("#message", "")
    tab.until_text("#title", "Basic")
    tab.until("document.querySelector('#agent').length === 2")


@pytest.mark.parametrize("size", WINDOWS)
def test_nothing_lies_over_anything_else_in_any_window(size, tab, show):
    tab.size(*size)
    tab.open(show("Basic", areas=2, keyboard=True).address)
    tab.until("document.querySelectorAll('#keys kbd').length === 2")
    panel, bar, scene = (tab.box(selector) for selector in ("#panel", "#bar", "#scene"))
    for x, y, width, height in (panel, bar, scene):
        assert x >= 0 and y >= 0 and width > 0 and height > 0
        assert x + width <= size[0] + 0.5 and y + height <= size[1] + 0.5
    for other in (bar, scene):
        assert panel[0] + panel[2] <= other[0] + 0.5 or panel[1] + panel[3] <= other[1] + 0.5
    assert bar[3] < scene[3] / 2
    assert tab.ask("[...document.querySelectorAll('#facts tr')].every(({cells: [a, b]}) => {"
                   "const range = document.createRange(); range.selectNodeContents(a);"
                   "return range.getBoundingClientRect().right < b.getBoundingClientRect().left})")  # fmt: skip


def test_a_turned_phone_still_sees_all(tab, show):
    tab.size(390, 844)
    tab.open(show("Basic").address)
    rest = pause(tab)
    tab.size(844, 390)
    until_other(tab, rest)
    for agent in range(4):
        x, y = label(tab, agent)
        left, top, width, height = tab.box("#scene")
        assert left < x < left + width and top < y < top + height

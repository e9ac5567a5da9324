"""Names from elsewhere do nothing to a terminal or a page."""

import io
import logging
from contextlib import redirect_stdout

import pytest

from mlagents_envs import logging_util
from mlagents_envs.examples.catalog import make
from mlagents_envs.printable import printable
from mlagents_envs.watch.frames import decode
from mlagents_envs.watch.stage import Stage

EVIL = {
    "\x1b[2Jgone": "\\x1b[2Jgone",
    "a\rb\x00\x07\x9b": "a\\rb\\x00\\x07\\x9b",
    "run\u202egnp.exe": "run\\u202egnp.exe",
    "line\u2028two": "line\\u2028two",
    "\ud800": "\\ud800",
    "zero\u200bwidth": "zero\\u200bwidth",
}


@pytest.mark.parametrize("text", EVIL)
def test_what_steers_is_written_out(text):
    assert printable(text) == EVIL[text]


@pytest.mark.parametrize("text", ["3DBall?team=0", "", "M\u00fccke \u732b \U0001f600", "a b"])
def test_other_text_stays(text):
    assert printable(text) == text


def test_lines_of_our_own_stay_where_they_are_wanted():
    assert printable("a\n\tb\x1b", layout=True) == "a\n\tb\\x1b"
    assert printable("a\n") == "a\\n"


def test_the_log_writes_out_what_steers():
    record = logging.LogRecord("mlagents_envs", logging.WARNING, __file__, 1, "%s: a name", None, None)
    log, handler = logging.Logger("alone"), logging_util.get_logger("mlagents_envs.printable").handlers[0]
    log.addHandler(handler)
    for text, shown in EVIL.items():
        record.args, out = (text,), io.StringIO()
        with redirect_stdout(out):
            log.handle(record)
        assert out.getvalue().endswith(f"[WARNING] {shown}: a name\n")


@pytest.mark.parametrize("text", EVIL)
def test_the_page_is_told_the_same(text):
    example = make("Basic", areas=1)
    example.reset()
    stage = Stage(example, title=text)
    assert decode(stage.frame({}))[0]["title"] == EVIL[text]


@pytest.mark.parametrize("value", [True, float("nan"), float("inf"), 1e309, 10**400, -2, "0", None, [0], {"a": 0}, 0.0])
def test_orders_of_odd_kinds_change_nothing(value):
    stage = Stage(make("Basic", areas=3), title="t")
    stage.apply({"area": value, "pick": value})
    assert (stage.area, stage.picked) == (-1, 0)

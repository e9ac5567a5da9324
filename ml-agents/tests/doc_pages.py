"""Does what a page of the documentation shows: writes its files, makes its changes, types its commands."""

import importlib
import re
import runpy
import shlex
import site
import subprocess
import sys
import traceback
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents import learn, plugin_tool

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SHORT = 1000  # steps of the tutorial's runs; test_new_plugin.py lets them go to their end


@dataclass(frozen=True)
class Block:
    """What stands between two fences; kind: sh, python, yaml, toml, diff, or nothing for what is said."""

    kind: str
    text: str
    file: str  # which it is, or changes; empty where its first line does not say


class Page:
    def __init__(self, name):
        self.text = (DOCS / name).read_text(encoding="utf-8")

    def section(self, title):
        (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", self.text, re.MULTILINE | re.DOTALL)
        return found

    def blocks(self, title):
        return blocks(self.section(title))

    def files(self):
        return {block.file: block.text for block in blocks(self.text) if block.file and block.kind != "diff"}


def blocks(text):
    for kind, inside in re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        named = re.match(r"# (\S+\.\w+)\n", inside) if kind not in ("sh", "") else None
        yield Block(kind, inside[named.end() :], named[1]) if named else Block(kind, inside, "")


def loosely(text):
    """Return a text without what may differ: spaces, fractions and shares."""
    return re.sub(r"-?\d+\.\d+|-?\d+%", "#", " ".join(text.split()))


def change(file, diff):
    """Make a change as its lines say, and return what undoes it."""
    path, before = Path(file), Path(file).read_text(encoding="utf-8")
    text = before
    for old, new in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", diff, re.MULTILINE):
        old, new = (re.sub(r"^[-+]", "", lines, flags=re.MULTILINE) for lines in (old, new))
        assert text.count(old) == 1, f"{file} does not have once: {old}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return lambda: path.write_text(before, encoding="utf-8")


class Author:
    """Does in an empty folder what the pages say."""

    def __init__(self, folder, capsys, monkeypatch):
        self.folder, self.capsys, self.monkeypatch = folder, capsys, monkeypatch
        self.programs = {
            "mlagents-plugin": plugin_tool.main,
            "mlagents-learn": learn.main,
            "tensorboard": lambda words: int(not list(Path(words[1]).rglob("events.out.tfevents.*"))),
            "pip": self.install,
            "python": self.python,
        }

    def walk(self, page, *titles, undone=False):
        """Do everything in these sections. undone: a change makes what follows fail, until that is shown."""
        lines, heard, pending = [], "", []
        for block in (block for title in titles for block in page.blocks(title)):
            if block.kind == "sh":
                lines = block.text.splitlines()
                heard = self.all_typed(lines, fails=bool(pending))
            elif block.kind == "diff":
                put_back = change(block.file, block.text)
                if undone:
                    pending, heard = [*pending, put_back], ""
            elif not block.kind:
                heard = heard or self.all_typed(lines, fails=bool(pending))
                missing = [line for line in block.text.splitlines() if loosely(line) not in loosely(heard)]
                assert not missing, f"{missing} is shown, but this was said:\n{heard}"
                while pending:
                    pending.pop()()
            elif block.file:
                self.write(block.file, block.text)

    def all_typed(self, lines, *, fails):
        said = [self.typed(line) for line in lines]
        heard = "\n".join(words for _, words in said)
        assert any(status for status, _ in said) == fails, heard
        return heard

    def write(self, file, text):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(text, encoding="utf-8")

    def typed(self, line):
        """Do what a shell would; return the exit status and all that was said, as in the folder /home/me."""
        self.forget_modules()
        program, *words = shlex.split(line, comments=True)
        out = words[-1] if ">" in words else None
        words = words[: words.index(">")] if ">" in words else words
        if words[:1] == ["check"] and "--only" not in words:
            words += ["--only", "setting"]  # the others train
        self.capsys.readouterr()
        path = sys.path[:]
        try:
            with open(out, "w", encoding="utf-8") if out else nullcontext(sys.stdout) as file, redirect_stdout(file):
                status = self.programs[program](words)
        except Exception:  # as Python ends a program
            traceback.print_exc()
            status = 1
        if program != "pip":  # what it installs stays; what a program adds to its path is gone with the program
            sys.path[:] = path
        if words[:1] == ["new"]:
            for config in Path().glob("*/*/*.yaml"):
                self.write(config, re.sub("max_steps: .*", f"max_steps: {SHORT}", config.read_text(encoding="utf-8")))
        said = self.capsys.readouterr()
        return status, (said.out + said.err).replace(str(self.folder), "/home/me").replace("\\", "/")

    def forget_modules(self):
        """Let files be loaded anew, as by another process."""
        for name, module in list(sys.modules.items()):
            if self.folder in Path(getattr(module, "__file__", None) or "").parents:
                del sys.modules[name]
        importlib.invalidate_caches()

    def install(self, words):
        """Install packages beside us, from this machine alone, as pip does it."""
        pytest.importorskip("hatchling")
        pytest.importorskip("pip")
        options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
        pip = [sys.executable, "-m", "pip", *words, *options, "--target", "site", "--upgrade"]
        status = subprocess.run(pip, check=False).returncode
        site.addsitedir("site")
        return status

    def python(self, words):
        if words[0].endswith(".py"):
            runpy.run_path(words[0])
            return 0
        # As `python -m pytest`, of those tests that train nothing long.
        program = "import site, sys, pytest; site.addsitedir('site'); sys.exit(pytest.main(sys.argv[1:]))"
        command = [sys.executable, "-c", program, *words[2:], "-q", "-k", "setting", "-p", "no:cacheprovider"]
        return subprocess.run(command, check=False).returncode

    def enter(self, points):
        """Lay out an installed distribution that has these entry points, and lies here."""
        about = Path("some_plugin-1.2.dist-info")
        self.write(about / "METADATA", "Metadata-Version: 2.1\nName: some-plugin\nVersion: 1.2\n")
        table = re.sub(r'^\[project\.entry-points\."(.*)"\]', r"[\1]", points, flags=re.MULTILINE)
        self.write(about / "entry_points.txt", table.replace('"', ""))
        self.monkeypatch.syspath_prepend(self.folder)


def tags(run, behavior="Basic"):
    """Return the curves of a run, each with its values."""
    board = EventAccumulator(f"results/{run}/{behavior}")
    board.Reload()
    return {tag: [event.value for event in board.Scalars(tag)] for tag in board.Tags()["scalars"]}

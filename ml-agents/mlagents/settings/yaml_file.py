"""A YAML file as plain values, with the line and column of every key.

Whatever the bytes are, the answer is a document or a SettingsError, in bounded time and memory. Tags are refused, and
nothing but text, numbers, truth values, lists and keys with values is ever made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mlagents.settings.mistakes import Mistake, SettingsError, shorten

Path_ = tuple[str, ...]  # the keys that lead to a value
LARGEST = 2**20  # bytes of a file
DEEPEST = 50  # levels below the top
MOST = 20_000  # values, counted as often as aliases repeat them
LONGEST = 200  # letters of a key, and of a number
_TAG = "tag:yaml.org,2002:"
_PLAIN = {_TAG + kind for kind in ("str", "null", "bool", "int", "float", "timestamp", "value", "merge")}
_AS_WRITTEN = {_TAG + kind for kind in ("str", "timestamp", "value", "merge")}
_MERGE = _TAG + "merge"
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_EMPTY = "is empty; it must have keys and values, with 'behaviors:' at the top"
_NO_KEYS = "must be keys and values, with 'behaviors:' at the top"


@dataclass
class Document:
    """What a file holds, and where."""

    file: str
    values: dict[str, Any]
    places: dict[Path_, tuple[int, int]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)


def read(file: str) -> Document:
    """Return a YAML or JSON file; raises SettingsError if it cannot be read at all."""
    text = _text(file)
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
        if root is None:
            raise _Unreadable(_EMPTY)
        if not isinstance(root, yaml.MappingNode):
            raise _Unreadable(_NO_KEYS, root.start_mark)
        reader = _Reader(Document(file, {}, {(): _at(root)}))
        reader.document.values = reader.mapping(root, ())
        return reader.document
    except _Unreadable as error:
        raise SettingsError([error.mistake(file)]) from None
    except yaml.reader.ReaderError as error:
        line, column = _place(text, error.position)
        shown = f"U+{error.character:04X}" if isinstance(error.character, int) else repr(error.character)
        message = f"is not YAML: the character {shown} may not stand in a file of text"
        raise SettingsError([Mistake(line, column, file, "", message)]) from None
    except yaml.MarkedYAMLError as error:
        hint = "; YAML is indented with spaces, not tabs" if "\\t" in str(error.problem) else ""
        mark = error.problem_mark or error.context_mark
        raise SettingsError([_Unreadable(f"is not YAML: {error.problem}{hint}", mark).mistake(file)]) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # as \UFFFFFFFF in quotes, which is no character
        reason = " ".join(str(error).split())
        raise SettingsError([Mistake(0, 0, file, "", f"is not YAML: {shorten(reason)}")]) from None


class _Unreadable(Exception):
    """Why a file cannot be read at all; it never leaves this module."""

    def __init__(self, message: str, mark: yaml.Mark | None = None) -> None:
        super().__init__(message)
        self.line: int = 0 if mark is None else mark.line + 1
        self.column: int = 0 if mark is None else mark.column + 1

    def mistake(self, file: str) -> Mistake:
        return Mistake(self.line, self.column, file, "", str(self))


def _text(file: str) -> str:
    """Return what a file holds; raises SettingsError if that is no text, or too much of it."""
    line = 0
    try:
        if Path(file).is_dir():
            raise _Unreadable("is a folder; name the file in it")
        with open(file, "rb") as source:
            data = source.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise _Unreadable(f"is longer than {LARGEST:,} bytes, so it is no configuration")
        return data.decode("utf-8")
    except FileNotFoundError:
        reason = f"no such file (looked for {Path(file).absolute()})"
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        reason = "is UTF-16 text; save it as UTF-8" if utf16 else f"is not UTF-8 text: {error.reason}; save it as UTF-8"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except (ValueError, _Unreadable) as error:  # ValueError: a name with NUL
        reason = str(error) if isinstance(error, _Unreadable) else f"cannot be read: {error}"
    raise SettingsError([Mistake(line, 1 if line else 0, file, "", reason)])


def _place(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - before.rfind("\n")


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML is not typed
    """Composes nodes, and stops where they are too many, too deep, or part of themselves."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._count = 0
        self._open: list[str | None] = []  # anchors of the nodes that are being composed, outermost first

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        anchor, mark = event.anchor, event.start_mark
        self._count += 1
        if self._count > MOST:
            raise _Unreadable(f"has more than {MOST:,} values, so it is no configuration", mark)
        if len(self._open) > DEEPEST:
            raise _Unreadable(f"is nested more than {DEEPEST} deep", mark)
        if anchor is not None and isinstance(event, yaml.AliasEvent) and anchor in self._open:
            raise _Unreadable(f"the alias *{anchor} stands inside what it stands for; it would never end", mark)
        if anchor is not None and not isinstance(event, yaml.AliasEvent) and anchor in self.anchors:
            first = self.anchors[anchor].start_mark.line + 1
            raise _Unreadable(f"the anchor &{anchor} is there twice; the first is in line {first}", mark)
        self._open.append(anchor)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._open.pop()
        return node


class _Reader:
    """Makes plain values of nodes; notes where each stands and what is wrong with it."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._count = 0
        self._scalars = yaml.SafeLoader("")

    def mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        """Return keys and values; keys of its own win over merged ones, and the last of its own over the first."""
        entries: dict[str, tuple[yaml.Node, yaml.Node]] = dict(self._merged(node, path))
        own: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            key = None if key_node.tag == _MERGE else self._key(key_node, path)
            if key is None:
                continue
            if key in own:
                first = own[key].start_mark.line + 1
                self._warn(key_node, (*path, key), f"is there twice; the first, in line {first}, has no effect")
            own[key] = key_node
            entries[key] = (key_node, value_node)
        values: dict[str, Any] = {}
        for key, (key_node, value_node) in entries.items():
            below = (*path, key)
            self.document.places[below] = _at(key_node)
            values[key] = self._value(value_node, below)
        return values

    def _merged(
        self, node: yaml.MappingNode, path: Path_, depth: int = 0
    ) -> Iterator[tuple[str, tuple[yaml.Node, yaml.Node]]]:
        """Yield what `<<` brings, weakest first: of a list the first wins, of several `<<` the last."""
        if depth > DEEPEST:
            raise _Unreadable(f"has '<<' that follow each other more than {DEEPEST} times", node.start_mark)
        for key_node, value_node in node.value:
            if key_node.tag != _MERGE:
                continue
            several = isinstance(value_node, yaml.SequenceNode)
            for base in reversed(value_node.value) if several else [value_node]:
                self._count_one(key_node)
                if not isinstance(base, yaml.MappingNode):
                    message = "must name keys and values, or a list of such, as '<<: *base'"
                    self._mistake(key_node, (*path, "<<"), message)
                    continue
                yield from self._merged(base, path, depth + 1)
                for inner, value in base.value:
                    self._count_one(key_node)
                    if inner.tag != _MERGE and (key := self._key(inner, path)) is not None:
                        yield key, (inner, value)

    def _key(self, node: yaml.Node, path: Path_) -> str | None:
        """Return a key as it is written; None, with a mistake, if it is no text."""
        problem = None
        if not isinstance(node, yaml.ScalarNode):
            kind = "a list" if isinstance(node, yaml.SequenceNode) else "keys and values"
            problem = f"a key is {kind}; it must be text"
        elif not node.value:
            problem = "a key is empty; it must be text"
        elif len(node.value) > LONGEST:
            problem = f"the key '{shorten(node.value)}' has {len(node.value):,} letters; {LONGEST} are the most"
        elif _UNPRINTABLE.search(node.value):
            problem = f"the key {shorten(node.value)!r} has a control character in it"
        elif node.tag not in _PLAIN:
            problem = _tagged(node)
        if problem is not None:
            self._mistake(node, path, problem)
            return None
        return str(node.value)

    def _value(self, node: yaml.Node, path: Path_) -> Any:
        self._count_one(node)
        if len(path) > DEEPEST:  # aliases may be as deep as they like
            raise _Unreadable(f"is nested more than {DEEPEST} deep", node.start_mark)
        self.document.places.setdefault(path, _at(node))
        if isinstance(node, yaml.MappingNode):
            if node.tag != _TAG + "map":
                self._mistake(node, path, _tagged(node))
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            if node.tag != _TAG + "seq":
                self._mistake(node, path, _tagged(node))
            return [self._value(item, (*path, str(i))) for i, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _scalar(self, node: yaml.ScalarNode, path: Path_) -> Any:
        """Return text, a number, true, false or None; dates stay text, and so does what only looks like a number."""
        if node.tag not in _PLAIN:
            self._mistake(node, path, _tagged(node))
        elif node.tag not in _AS_WRITTEN and len(node.value) <= LONGEST:  # 1:1:1:1... takes longer and longer
            try:
                return self._scalars.construct_object(node)
            except (ValueError, KeyError):  # as 0b_
                return node.value
        if _UNPRINTABLE.search(node.value):
            self._mistake(node, path, f"is {shorten(node.value)!r}; it must have no control characters")
        return node.value

    def _count_one(self, node: yaml.Node) -> None:
        self._count += 1
        if self._count > MOST:
            raise _Unreadable(f"has more than {MOST:,} values once its aliases are followed", node.start_mark)

    def _mistake(self, node: yaml.Node, path: Path_, message: str) -> None:
        self.document.mistakes.append(Mistake(*_at(node), self.document.file, ".".join(path), message))

    def _warn(self, node: yaml.Node, path: Path_, message: str) -> None:
        self.document.warnings.append(Mistake(*_at(node), self.document.file, ".".join(path), message))


def _at(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _tagged(node: yaml.Node) -> str:
    tag = node.tag.removeprefix(_TAG)
    shown = f"!!{tag}" if tag != node.tag else tag
    return f"has the tag {shorten(shown)}; tags mean nothing here, so leave it away"

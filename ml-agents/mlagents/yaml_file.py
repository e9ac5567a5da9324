"""A YAML file as plain values, with the line and column of every key."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mlagents.mistakes import Mistake, SettingsError

Path_ = tuple[str, ...]  # the keys that lead to a value


@dataclass
class Document:
    """What a file says, and where it says it."""

    file: str
    values: dict[str, Any]
    places: dict[Path_, tuple[int, int]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)


def read(file: str) -> Document:
    """Return a YAML or JSON file; raises SettingsError if it cannot be read at all."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError([Mistake(0, 0, file, "", f"no such file (looked for {Path(file).absolute()})")]) from None
    except UnicodeDecodeError as error:
        raise SettingsError([Mistake(0, 0, file, "", f"is not UTF-8 text: {error.reason}")]) from None
    except OSError as error:
        raise SettingsError([Mistake(0, 0, file, "", f"cannot be read: {error.strerror}")]) from None
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        document = Document(file, {})
        if root is not None:
            value = _value(loader, root, (), document)
            if not isinstance(value, dict):
                raise SettingsError([Mistake(1, 1, file, "", "must be keys and values, with 'behaviors:' at the top")])
            document.values = value
    except yaml.MarkedYAMLError as error:
        raise SettingsError([_syntax(file, error)]) from None
    except yaml.YAMLError as error:
        raise SettingsError([Mistake(0, 0, file, "", f"is not YAML: {error}".replace("\n", " "))]) from None
    finally:
        loader.dispose()
    return document


def _syntax(file: str, error: yaml.MarkedYAMLError) -> Mistake:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    hint = "; YAML is indented with spaces, not tabs" if "\\t" in str(error.problem) else ""
    return Mistake(line, column, file, "", f"is not YAML: {error.problem}{hint}")


def _value(loader: yaml.SafeLoader, node: yaml.Node, path: Path_, document: Document) -> Any:
    """Return the value of a node; note where it and everything below it stands."""
    document.places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(loader.construct_object(key_node, deep=True))
            here = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            below = (*path, key)
            if key in values:
                first = document.places[below][0]
                message = f"is there twice; the first is in line {first}"
                document.mistakes.append(Mistake(*here, document.file, ".".join(below), message))
            document.places[below] = here
            values[key] = _value(loader, value_node, below, document)
        return values
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*path, str(i)), document) for i, item in enumerate(node.value)]
    return loader.construct_object(node, deep=True)

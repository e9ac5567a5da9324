"""`mlagents-plugin new`: writes a package with a trainer that runs unchanged.

`templates` holds the package of a trainer called `the-name`; only names are replaced.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
KINDS = {"on-policy": "beta", "off-policy": "tau", "ppo": "drift"}
"""What a trainer can begin as, each with the setting that its tests change."""


class NewPluginError(Exception):
    """A package cannot be written; the text says why."""


@dataclass(frozen=True)
class Names:
    """All names that follow from one: from `my-trainer`, the package `my_trainer` and the class `MyTrainer`."""

    name: str  # of the folder, the distribution, and the trainer in a YAML

    @property
    def package(self) -> str:
        """The name of the Python package."""
        return self.name.replace("-", "_")

    @property
    def stem(self) -> str:
        """The name as classes begin, without `Trainer` at its end."""
        camel = "".join(word.capitalize() for word in re.split("[-_]", self.name))
        return re.sub("(?<=.)trainer$", "", camel, flags=re.IGNORECASE)

    def put_into(self, text: str) -> str:
        """Return a template's text, or the name of its file, for this trainer."""
        own = {"the-name": self.name, "the_name": self.package, "TheName": self.stem}
        return re.sub("|".join(own), lambda found: own[found[0]], text)


def check_name(name: str, taken: Iterable[str]) -> None:
    """Raise NewPluginError unless a package and a trainer can have this name. taken: names of all known trainers."""
    names = Names(name)
    if not re.fullmatch("[a-z]([a-z0-9_-]*[a-z0-9])?", name):
        raise NewPluginError(
            f"'{name}': a trainer's name is made of small letters, digits, - and _, begins with a letter and ends with "
            "a letter or digit; for example my-trainer"
        )
    if keyword.iskeyword(names.package):
        raise NewPluginError(f"'{name}': no package can be called as a word of Python; try '{name}-trainer'")
    for other in taken:
        if Names(other).package == names.package:
            raise NewPluginError(f"'{name}': there is a trainer '{other}' already; choose another name")
    if names.package == "tests" or _is_module(names.package):
        raise NewPluginError(f"'{name}': there is a module '{names.package}' already; try '{name}-trainer'")


def _is_module(package: str) -> bool:
    """Would a package of this name hide a module, or be hidden by it? A mere folder is none."""
    found = importlib.util.find_spec(package)
    return found is not None and found.origin is not None


def write(name: str, parent: Path, *, kind: str) -> list[Path]:
    """Write the package into the folder `parent / name` and return its files. kind: one of KINDS.

    Raises NewPluginError if the folder holds anything, or cannot be written.
    """
    names, folder = Names(name), parent / name
    texts = {folder / path: text for path, text in _files(names, kind).items()}
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise NewPluginError(f"{folder}: there is something already; choose another name, or another --folder")
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise NewPluginError(f"{folder}: cannot be written: {error.strerror}; choose another --folder") from error
    return list(texts)


def _files(names: Names, kind: str) -> Mapping[str, str]:
    """Return the text of each file of the package, by its place in there."""
    trainer = kind.replace("-", "_")
    places = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "the_name/__init__.py": "package.py",
        "the_name/the_name.py": f"{trainer}.py",
        "the_name/the_name.yaml": f"{trainer}.yaml",
        "tests/test_the_name.py": "tests/the_name.py",
    }
    texts = {place: (TEMPLATES / file).read_text(encoding="utf-8") for place, file in places.items()}
    _check_classes(names, texts["the_name/the_name.py"])
    texts = {place: text.replace("the_setting", KINDS[kind]) for place, text in texts.items()}
    return {names.put_into(place): names.put_into(text) for place, text in texts.items()}


def _check_classes(names: Names, text: str) -> None:
    """Raise NewPluginError for a name whose classes would be called as something that the trainer is made from."""
    words = set(re.findall(r"\w+", text))
    for own in words:
        made = names.put_into(own)
        if made != own and made in words:
            raise NewPluginError(f"'{names.name}': its class would be {made}, which is another's; choose another name")


def next_commands(name: str, parent: Path) -> list[str]:
    """Return the lines that say what to do with a package that was written."""
    folder, package = parent / name, Names(name).package
    file = folder / package / package
    learn = f"mlagents-learn {_quoted(file.with_suffix('.yaml'))}"
    run = f"--env builtin:Basic --run-id {name}"
    return [
        "Install it, train with it, and check that it keeps what every trainer promises:",
        f"  pip install -e {_quoted(folder)}",
        f"  {learn} {run}",
        f"  mlagents-plugin check {name}",
        "Or train without installing anything:",
        f"  {learn} --plugin {_quoted(file.with_suffix('.py'))} {run}",
    ]


def _quoted(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)

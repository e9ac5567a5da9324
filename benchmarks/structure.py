"""Structure of the packages, by their syntax trees: rooms, imports between them, sizes, docstrings, private accesses.

    python benchmarks/structure.py [--list]

A room is a folder or a file directly inside a package. An arrow is an import from one room to another, in functions
too, but not under TYPE_CHECKING. Floors are the rooms on the longest chain of arrows; a circle is a group of rooms that
reach each other. Private accesses are `x._name` where x is neither self nor cls. Files that only forward to a `main`
elsewhere are left out. Prints a Markdown table; --list prints what should not be there. Ends with status 1 if there is
a circle or a file of more than 400 lines.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {"mlagents": ROOT / "ml-agents" / "mlagents", "mlagents_envs": ROOT / "ml-agents-envs" / "mlagents_envs"}
MOST_LINES = 400
NAMED_TUPLE = {"_asdict", "_field_defaults", "_fields", "_make", "_replace"}  # public methods despite their names
Function = ast.FunctionDef | ast.AsyncFunctionDef
Graph = Mapping[str, set[str]]  # room -> rooms that it imports


@dataclass(frozen=True)
class Module:
    """One source file."""

    name: str  # dotted, with the package
    path: Path
    tree: ast.Module
    lines: int

    @property
    def room(self) -> str:
        """The folder or file inside the package that holds it; empty for the package's own __init__."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else ""

    @property
    def loose(self) -> bool:
        """Is it a file directly inside the package?"""
        return self.name.count(".") == 1 and self.path.name != "__init__.py"

    @property
    def forwards(self) -> bool:
        """Does it only import something and call it if run as a program?"""
        kinds = [type(node) for node in self.tree.body]
        return kinds == [ast.Expr, ast.ImportFrom, ast.If]

    def imports(self) -> Iterator[str]:
        """Yield the dotted names that it imports at run time."""
        waiting: list[ast.AST] = [self.tree]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
                waiting += node.orelse
                continue
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            waiting += ast.iter_child_nodes(node)

    def functions(self) -> Iterator[Function]:
        """Yield all functions and methods."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def private_accesses(self) -> Iterator[ast.Attribute]:
        """Yield accesses to private attributes of other objects."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                owner = ast.unparse(node.value)
                own = owner in ("self", "cls", "super()", "type(self)")
                if not (own or node.attr in NAMED_TUPLE or (owner, node.attr) == ("os", "_exit")):
                    yield node


@dataclass(frozen=True)
class Package:
    """All modules of a package; generated code and templates are left out."""

    name: str
    modules: tuple[Module, ...]

    @cached_property
    def arrows(self) -> Graph:
        """Which rooms each room imports."""
        graph: dict[str, set[str]] = {module.room: set() for module in self.modules if module.room}
        for module in self.modules:
            for name in module.imports():
                package, _, inside = name.partition(".")
                target = inside.partition(".")[0]
                if module.room and package == self.name and target in graph and target != module.room:
                    graph[module.room].add(target)
        return graph

    @property
    def longest_file(self) -> Module:
        """The module with most lines."""
        return max(self.modules, key=lambda module: (module.lines, module.name))

    @property
    def longest_function(self) -> tuple[int, str]:
        """Lines and name of the longest function."""
        return max(
            (node.end_lineno - node.lineno + 1, f"{module.name}.{node.name}")
            for module in self.modules for node in module.functions() if node.end_lineno is not None
        )  # fmt: skip

    @property
    def private_accesses(self) -> list[str]:
        """Places of accesses to private attributes of other objects."""
        return [
            f"{module.name}:{node.lineno}: {ast.unparse(node)}"
            for module in self.modules for node in module.private_accesses()
        ]  # fmt: skip


def read(name: str, folder: Path) -> Package:
    """Parse the source files of a package."""
    modules = []
    for path in sorted(folder.rglob("*.py")):
        if "_pb2" in path.name or "templates" in path.parts:
            continue
        parts = [name, *path.relative_to(folder).with_suffix("").parts]
        text = path.read_text(encoding="utf-8")
        dotted = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        module = Module(dotted, path, ast.parse(text), len(text.splitlines()))
        if not module.forwards:
            modules.append(module)
    return Package(name, tuple(modules))


def circles(graph: Graph) -> list[list[str]]:
    """Return the groups of more than one room that reach each other."""
    reach = {room: reachable(graph, room) for room in graph}
    groups = {frozenset(other for other in reach[room] if room in reach[other]) for room in graph}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def reachable(graph: Graph, room: str) -> set[str]:
    """Return the rooms that a room imports, directly or not."""
    found: set[str] = set()
    waiting = [room]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def floors(graph: Graph) -> int:
    """Return the number of rooms on the longest chain of arrows; a circle counts as one floor."""
    reach = {room: reachable(graph, room) for room in graph}
    above = {room: {o for o in reach[room] if room not in reach[o]} for room in graph}  # arrows within circles left out
    height: dict[str, int] = {}
    for room in sorted(graph, key=lambda room: len(above[room])):
        height[room] = 1 + max((height[other] for other in above[room]), default=0)
    return max(height.values())


def public_names(package: Package, classes: Mapping[str, list[ast.ClassDef]]) -> Iterator[tuple[str, bool]]:
    """Yield each public class, function and method, and whether it has a docstring.

    classes: all classes by name. A method that overrides a documented one needs none, nor does a property's setter.
    """
    for module in package.modules:
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
                yield f"{module.name}.{node.name}", ast.get_docstring(node) is not None
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                for method in node.body:
                    if isinstance(method, Function) and not method.name.startswith("_") and not _is_setter(method):
                        documented = ast.get_docstring(method) or _inherited(node, method.name, classes)
                        yield f"{module.name}.{node.name}.{method.name}", bool(documented)


def _is_setter(method: Function) -> bool:
    return any(ast.unparse(decorator).endswith((".setter", "overload")) for decorator in method.decorator_list)


def _inherited(owner: ast.ClassDef, method: str, classes: Mapping[str, list[ast.ClassDef]]) -> bool:
    """Does a base class, found by its name, document this method?"""
    for base in owner.bases:
        name = ast.unparse(base).partition("[")[0].rpartition(".")[2]
        for found in classes.get(name, ()):
            if found is owner:
                continue
            own = (node for node in found.body if isinstance(node, Function) and node.name == method)
            if any(ast.get_docstring(node) for node in own) or _inherited(found, method, classes):
                return True
    return False


def classes_of(packages: list[Package]) -> dict[str, list[ast.ClassDef]]:
    """Return all classes by name."""
    found: dict[str, list[ast.ClassDef]] = {}
    for package in packages:
        for module in package.modules:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ClassDef):
                    found.setdefault(node.name, []).append(node)
    return found


def rows(packages: list[Package]) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of the table: a label, and one value per package."""
    classes = classes_of(packages)
    names = [list(public_names(package, classes)) for package in packages]
    yield "rooms", [str(len(package.arrows)) for package in packages]
    yield "floors", [str(floors(package.arrows)) for package in packages]
    yield "arrows", [str(sum(map(len, package.arrows.values()))) for package in packages]
    yield "circles", [str(len(circles(package.arrows))) for package in packages]
    yield "loose files", [str(sum(module.loose for module in package.modules)) for package in packages]
    longest = [package.longest_file for package in packages]
    yield "longest file", [f"{module.lines} (`{module.name}`)" for module in longest]
    yield "longest function", ["{} (`{}`)".format(*package.longest_function) for package in packages]
    yield "public names with docstrings", [f"{sum(d for _, d in found) / len(found):.1%}" for found in names]
    yield "private accesses", [str(len(package.private_accesses)) for package in packages]


def problems(packages: list[Package]) -> Iterator[str]:
    """Yield circles, long files, public names without docstrings, and private accesses."""
    classes = classes_of(packages)
    for package in packages:
        yield from (f"circle: {', '.join(group)}" for group in circles(package.arrows))
        yield from (f"{m.lines} lines: {m.name}" for m in package.modules if m.lines > MOST_LINES)
        yield from (f"no docstring: {name}" for name, documented in public_names(package, classes) if not documented)
        yield from (f"private access: {place}" for place in package.private_accesses)


def main() -> int:
    """Print the table; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="also print what should not be there, one a line")
    flags = parser.parse_args()
    packages = [read(name, folder) for name, folder in PACKAGES.items()]
    print("| |" + "".join(f" `{package.name}` |" for package in packages))
    print("|---|" + "---|" * len(packages))
    for label, values in rows(packages):
        print(f"| {label} |" + "".join(f" {value} |" for value in values))
    if flags.list:
        print("\n".join(("", *problems(packages))))
    bad = any(circles(package.arrows) or package.longest_file.lines > MOST_LINES for package in packages)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())

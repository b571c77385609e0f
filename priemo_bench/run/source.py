"""The source of a module: what of its text decides what it does, and what it imports.

Modules are found without being imported, so that a digest of code costs neither torch nor ART.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.machinery import ModuleSpec
from importlib.util import decode_source
from pathlib import Path
from typing import NamedTuple, TypeGuard

from priemo_bench import references

UNCOUNTED = {"__all__", "__version__"}
"""Names whose assignments decide no number."""


class Import(NamedTuple):
    """`import module`, or `from module import name`."""

    module: str
    name: str | None = None


@dataclass(frozen=True, eq=False)
class Source:
    """A module's parsed source.

    Attributes:
        name: dotted name; is_package: whether it is an `__init__`.
        text, tree: as written, and as parsed.
    """

    name: str
    is_package: bool
    text: str
    tree: ast.Module

    @cached_property
    def lines(self) -> dict[int, str]:
        """The lines that count, by number.

        Left out: comments, docstrings and other strings that stand alone, blank lines, trailing
        spaces, imports from `typing`, bodies of `if TYPE_CHECKING`, assignments of UNCOUNTED.
        """
        lines = dict(enumerate(self.text.splitlines(), 1))
        dropped = {
            n
            for node in ast.walk(self.tree)
            for first, last in _uncounted(node, lines)
            for n in range(first, last + 1)
        }
        within = set(_lines_in_strings(self.tree))
        return {
            n: line if n in within else line.rstrip()
            for n, line in (_without_comments(self.text) if "#" in self.text else lines).items()
            if n not in dropped and (n in within or line.strip())
        }

    @cached_property
    def imports(self) -> list[Import]:
        """All that it imports, also inside functions."""
        return list(self.imports_of(self.tree))

    def imports_of(self, node: ast.AST) -> Iterator[Import]:
        """What a part of it imports when it runs."""
        for inner in _walk(node):
            if isinstance(inner, ast.Import | ast.ImportFrom):
                yield from (found for found, _ in self._aliases(inner))

    @cached_property
    def bindings(self) -> dict[str, list[ast.stmt | Import]]:
        """Names of its top level, and what gives each its value."""
        found: dict[str, list[ast.stmt | Import]] = {}
        for statement in self.tree.body:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                for imported, name in self._aliases(statement):
                    found.setdefault(name, []).append(imported)
            for name in _assigned(statement):
                found.setdefault(name, []).append(statement)
        return found

    @cached_property
    def declared(self) -> dict[str, Import]:
        """Names that a `__getattr__` of its own finds, as declared under `if TYPE_CHECKING`."""
        if "__getattr__" not in self.bindings:
            return {}
        declarations = [s for block in self.tree.body if _type_checking(block) for s in block.body]
        return {
            name: imported
            for statement in declarations
            if isinstance(statement, ast.ImportFrom)
            for imported, name in self._aliases(statement)
        }

    @cached_property
    def effects(self) -> list[ast.stmt]:
        """Statements of its top level that do more than give a name its value."""
        return [
            statement
            for statement in self.tree.body
            if not isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass)
            and not _type_checking(statement)
            and not _is_string(statement)
            and not _assigned(statement)
        ]

    def part(self, statement: ast.stmt) -> str:
        """The counted lines of a statement of the top level."""
        decorators = getattr(statement, "decorator_list", [])
        first = min(node.lineno for node in [statement, *decorators])
        last = statement.end_lineno or first
        return "\n".join(self.lines[n] for n in range(first, last + 1) if n in self.lines)

    def _aliases(self, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[Import, str]]:
        """What an import statement imports, and the name that it gives it."""
        for alias in node.names:
            if isinstance(node, ast.Import):
                name = alias.asname or alias.name.partition(".")[0]
                yield Import(alias.name), name
            else:
                imported = Import(self._absolute(node), alias.name)
                yield imported, alias.asname or alias.name

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        package = parts[: len(parts) + self.is_package - node.level]
        return ".".join([*package, *([node.module] if node.module else [])])


def source(module: str) -> Source | None:
    """The source of a module by its name; None where there is no such module, or no source."""
    return _source(module, references.reloads())


@cache
def _source(module: str, reloads: int) -> Source | None:
    spec = _spec(module)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    try:
        text = decode_source(Path(spec.origin).read_bytes())
        tree = ast.parse(text)
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None
    return Source(module, spec.submodule_search_locations is not None, text, tree)


def _spec(module: str) -> ModuleSpec | None:
    """As `importlib.util.find_spec`, which would import the parents."""
    loaded = getattr(sys.modules.get(module), "__spec__", None)
    if isinstance(loaded, ModuleSpec):
        return loaded
    parent, _, _ = module.rpartition(".")
    path = None
    if parent:
        above = _spec(parent)
        if above is None or above.submodule_search_locations is None:
            return None
        path = list(above.submodule_search_locations)
    specs = (finder.find_spec(module, path) for finder in sys.meta_path)
    return next((spec for spec in specs if spec), None)


def names_in(node: ast.AST) -> set[str]:
    """Names that a part of a module looks up."""
    return {inner.id for inner in _walk(node) if isinstance(inner, ast.Name)}


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """As `ast.walk`, without what only type checkers read."""
    todo = [node]
    while todo:
        node = todo.pop()
        yield node
        todo += node.orelse if _type_checking(node) else ast.iter_child_nodes(node)


def _type_checking(node: ast.AST) -> TypeGuard[ast.If]:
    test = node.test if isinstance(node, ast.If) else None
    return "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))


def _is_string(node: ast.AST) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _assigned(statement: ast.stmt) -> list[str]:
    """Names that a definition or a plain assignment binds; none where it does anything else."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        targets: Iterable[ast.expr] = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    else:
        return []
    flat = [t for x in targets for t in (x.elts if isinstance(x, ast.Tuple | ast.List) else [x])]
    names = [t.id for t in flat if isinstance(t, ast.Name)]
    return names if len(names) == len(flat) else []


def _uncounted(node: ast.AST, lines: dict[int, str]) -> Iterator[tuple[int, int]]:
    """First and last line of what decides nothing, where it has these lines to itself."""
    if _type_checking(node):
        yield node.lineno, node.body[-1].end_lineno or node.lineno
    elif isinstance(node, ast.stmt) and (
        _is_string(node)
        or (isinstance(node, ast.ImportFrom) and node.module == "typing" and not node.level)
        or (isinstance(node, ast.Assign) and UNCOUNTED.issuperset(_assigned(node) or ["-"]))
    ):
        last = node.end_lineno or node.lineno
        before = lines[node.lineno].encode()[: node.col_offset]
        after = lines[last].encode()[node.end_col_offset :].strip()
        if not before.strip() and (not after or after.startswith(b"#")):
            yield node.lineno, last


def _lines_in_strings(tree: ast.AST) -> Iterator[int]:
    """Lines but the last of strings over several lines, in which spaces and blank lines count."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr | ast.Constant) and node.end_lineno:
            yield from range(node.lineno, node.end_lineno)


def _without_comments(text: str) -> dict[int, str]:
    lines = dict(enumerate(text.splitlines(), 1))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row] = lines[row][:column]
    return lines

"""Digests of the code that decides a result, so that a change of code makes anew what it touches.

The code of an attack, a victim or a module is its source and that of all modules of this project
(or of a plug-in's package) that it imports, directly or not, and the versions of the other packages
that these import. Sources are read, not imported.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import sys
import weakref
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, is_dataclass
from functools import cache, partial
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from priemo_bench import references, registry
from priemo_bench.contracts.sources import is_importable, source_text
from priemo_bench.errors import PriemoError
from priemo_bench.run.source import Import, Source, names_in, source

if TYPE_CHECKING:
    import ast

    from priemo_bench.run.spec import Spec

MENDED = {
    "bafb3cbc49d3": "78de7b066eaa",
    # quality.structural: tensors whose planes are strided (one RGB image in channels_last, rows and
    # columns swapped) were filtered into memory that nobody read. Runs filter contiguous ones, for
    # which both give the same bits.
    "1e24d381493b": "594c8c54620b",  # contracts.attack: tells of an unknown parameter by its name
    "fef4bd48144e": "1bd8adb2f10f",  # attacks.doors: shows the signature of the constructor
    # attacks.transfer.base and .smer: what SMER weighs by is right for margins and targets too
    "3493b1830677": "fb74639b4835",
    "5ed0b32c6e09": "bb8d6729e53d",
    # attacks.torchattack_adapter: margins, targets and grey images where these were wrong or failed
    "9ffaa716b3ec": "b89081c9c1b4",
    # run.plan and .spec: sentences for a run without rows, and for floors that it does not have
    "c82d04c76794": "88e0adbe3709",
    "79878634c01c": "22a2a90d7005",
}
"""Digests of modules, and those before a mend that changes no stored number."""
PROJECT = "priemo_bench"
NO_NUMBERS = {
    "priemo_bench",
    "priemo_bench.contracts.config",
    "priemo_bench.contracts.storage",
    "priemo_bench.contracts.weights.archive",
    "priemo_bench.deprecated",
    "priemo_bench.errors",
    "priemo_bench.progress",
    "priemo_bench.references",
    "priemo_bench.registry",
    "priemo_bench.run.faults",
    "priemo_bench.run.limits",
    "priemo_bench.run.overrides",
    "priemo_bench.run.store",
}
"""Modules that decide no number, whoever imports them."""
NO_VERSIONS = {
    "click", "dask", "distributed", "jinja2", "joblib", "matplotlib", "pandas", "pyarrow",
    "pydantic", "rich", "safetensors", "seaborn", "tomli_w", "tqdm", "typer", "typing_extensions",
}  # fmt: skip
"""Packages that decide no number, by import name."""
DISTRIBUTIONS = {
    "art": "adversarial-robustness-toolbox", "cv2": "opencv-python", "PIL": "Pillow",
    "skimage": "scikit-image", "sklearn": "scikit-learn",
}  # fmt: skip
"""Distributions that are not called as what is imported from them."""
LIBRARIES = {"art", "numpy", "PIL", "scipy", "timm", "torch", "torchattacks", "torchvision"}
"""Packages that count by their version even where a root is a thing of theirs."""
ALWAYS = ("torch", "adversarial-robustness-toolbox")
RUN = (f"{PROJECT}.run.execute", f"{PROJECT}.run.craft", f"{PROJECT}.run.collect")
"""What makes, measures and judges images, whatever the attack."""
PAGE = (f"{PROJECT}.report:write_report", f"{PROJECT}.report:save_examples")
"""What makes tables, figures and page of stored rows."""


@dataclass(frozen=True)
class Code:
    """What decides a result, besides data, weights and parameters.

    Attributes:
        sources: 12 hex digits of the sources of `modules`.
        versions: of packages beyond these, by the names of their distributions.
        modules: names of modules and 12 hex digits of what counts of each: of a package's
            `__init__` the names that are imported from it, else the whole module.
    """

    sources: str
    versions: dict[str, str]
    modules: dict[str, str]

    @property
    def digest(self) -> str:
        """12 hex digits of sources and versions."""
        return _digest([self.sources, self.versions])


def code_of(*roots: object) -> Code:
    """The code behind `roots`: names ("module", "module:object") or things.

    A thing stands for its module (an instance: that of its class) and those of what it inherits
    from; a partial, a bound method or an attack's preset also for those of what they call.

    Example:
        >>> from priemo_bench.run.code import code_of
        >>> code = code_of("priemo_bench.judge.statistics")
        >>> "priemo_bench.judge.statistics" in code.modules, "torch" in code.versions
        (True, True)
        >>> code == code_of("priemo_bench.judge.statistics")
        True
    """
    key = tuple(root if isinstance(root, str) else id(root) for root in roots)
    things, known = _KNOWN.get(key, ((), None))
    if known is None or any(ref() is None for ref in things):
        known = _Closure(roots).code()
        with suppress(TypeError):  # a thing that cannot be referred to is read again each time
            things = tuple(weakref.ref(root) for root in roots if not isinstance(root, str))
            _KNOWN[key] = things, known
    return known


_KNOWN: dict[tuple[str | int, ...], tuple[tuple[weakref.ref[Any], ...], Code]] = {}
"""What is known already, with references that tell whether an id is still that of a root."""


def entry_code(kind: str, name: str) -> Code:
    """The code of an entry of the registry, or of the loader of a TOML file.

    Only what has no entry point is imported.

    Raises:
        PriemoError: no such entry or file.
    """
    registry.check(kind, name)
    point: Any = registry._points(kind).get(name)
    if name.endswith(".toml") or (registry.reference(kind, name) or "").endswith(".toml"):
        point = registry._loaders()[f"{kind}.toml"]
    if point is None:
        try:
            return code_of(registry.get(kind, name))
        except PriemoError as error:  # its cells fail for that reason
            return Code(_digest(str(error)), {}, {})
    return code_of(getattr(point, "value", None) or point.load())


def code_facts(spec: Spec) -> dict[str, Any]:
    """Digests of the sources that decide a run and its page, part by part.

    Versions of packages are no part: a page is as old as its sources.

    Returns:
        `attacks`, `victims` (surrogates, too), `defenses` and `metrics`, each digests by name;
        `run` and `page` (see RUN and PAGE); and `state`, a digest of all.
    """
    from priemo_bench.contracts.metric import MEASURES

    datasets = [entry_code("datasets", d.name).sources for d in spec.datasets]
    facts: dict[str, Any] = {
        "attacks": _entries("attacks", [a.name for a in spec.attacks]),
        "victims": _entries("victims", [*spec.victims, *spec.all_surrogates]),
        "defenses": _entries("defenses", ["none", *spec.defenses]),
        "metrics": _entries("metrics", [*MEASURES, *spec.metrics]),
        "run": _digest([code_of(*RUN).sources, datasets]),
        "page": _digest([code_of(*PAGE).sources, _templates()]),
    }
    return {"state": _digest(facts), **facts}


def stale_parts(written: Mapping[str, Any] | None, today: Mapping[str, Any]) -> list[str]:
    """What has changed since a page's `code` facts were written: "attack pgd", "victim resnet" ...

    A page without such facts is stale as a whole, "all of it".
    """
    if not written:
        return ["all of it"]
    found = []
    for kind in ("attacks", "victims", "defenses", "metrics"):
        old = written.get(kind, {})
        changed = [n for n, digest in today[kind].items() if old.get(n) != digest]
        found += [f"{kind.removesuffix('s')} {name}" for name in changed]
    return found + [part for part in ("run", "page") if written.get(part) != today[part]]


def _entries(kind: str, names: Iterable[str]) -> dict[str, str]:
    return {name: entry_code(kind, name).sources for name in dict.fromkeys(names)}


def _templates() -> list[str]:
    folder = Path(__file__).parents[1] / "report"
    found = sorted([*folder.glob("*.jinja"), *folder.glob("web/*")])
    return [path.read_text("utf-8") for path in found]


def _digest(value: object) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


class _Closure:
    """Collects what roots need.

    Attributes:
        tops: top-level packages whose sources count.
        whole: modules of which everything counts.
        parts: of the other packages, what counts: statements and imports, as text.
        others: top-level packages of which the version counts.
    """

    def __init__(self, roots: Iterable[object]) -> None:
        self.tops = {PROJECT}
        self.whole: set[str] = set()
        self.parts: defaultdict[str, dict[object, str]] = defaultdict(dict)
        self.texts: dict[str, str] = {}
        self.others: set[str] = set()
        self._seen: set[Import] = set()
        for root in roots:
            self._root(root)

    def code(self) -> Code:
        texts = {**self.texts, **{m: "\n".join(_source(m).lines.values()) for m in self.whole}}
        for module in self.parts.keys() - self.whole - NO_NUMBERS:
            if found := sorted({text for text in self.parts[module].values() if text}):
                texts[module] = "\n".join(found)
        digests = {name: _digest(texts[name]) for name in sorted(texts)}
        modules = {name: MENDED.get(digest, digest) for name, digest in digests.items()}
        plugins = self.tops - {PROJECT}
        return Code(_digest(modules), _versions(frozenset(self.others | plugins)), modules)

    def _root(self, root: object, depth: int = 3) -> None:
        """A root, and up to `depth` calls behind it."""
        if isinstance(root, str):
            module, _, name = root.partition(":")
            self.tops.add(_top(module))
            self.need(module, name.partition(".")[0] or None)
        elif isinstance(root, ModuleType):
            self._root(root.__name__)
        elif isinstance(root, partial):
            self._settings(root)
            self._root(root.func, depth)
            for value in (*root.args, *root.keywords.values()) if depth else ():
                if isinstance(value, type | partial) or inspect.isroutine(value):
                    self._root(value, depth - 1)
        elif inspect.ismethod(root):
            self._root(root.__self__, depth)
        elif isinstance(root, type) or inspect.isroutine(root):
            self._defined(inspect.unwrap(root) if callable(root) else root)
        else:
            self._defined(type(root))
            self._settings(root)
            for value in list(getattr(root, "__dict__", {}).values()) if depth else ():
                if isinstance(value, type | partial) or inspect.isroutine(value):
                    self._root(value, depth - 1)

    def _defined(self, thing: Any) -> None:
        """A class with what it inherits from, or a function."""
        own = _top(_module(thing))
        self.tops |= {own} - LIBRARIES - NO_VERSIONS - sys.stdlib_module_names
        for part in getattr(thing, "__mro__", [thing]):
            module = _module(part)
            if _top(module) in self.tops and (_by_value(module) or source(module) is None):
                self.texts[f"{module}:{part.__qualname__}"] = source_text(part)
            else:
                self.need(module)

    def _settings(self, thing: object) -> None:
        """What a preset, a partial or another thing that shows its parameters was made with."""
        shown = _top(_module(type(thing).__repr__))
        if isinstance(thing, partial) or is_dataclass(thing) or shown in self.tops:
            words = re.sub(r" at 0x[0-9a-fA-F]+|(Posix|Windows)Path\([^)]*\)", "", repr(thing))
            self.texts[f"{words[:60]} {_digest(words)}"] = words

    def need(self, module: str, name: str | None = None) -> None:
        """`import module`, or `from module import name`."""
        if Import(module, name) in self._seen or (
            module in NO_NUMBERS and (module != PROJECT or name is None)
        ):
            return
        self._seen.add(Import(module, name))
        if _top(module) not in self.tops:
            self.others.add(_top(module))
            return
        parts = module.split(".")
        for n in range(1, len(parts)):
            self._pass(".".join(parts[:n]))
        own = source(module)
        if own is None:
            self.texts[module] = "no source"
        elif own.is_package and name not in (None, "*"):
            assert name is not None
            self._from_package(own, name)
        else:
            self._all(own)

    def _all(self, own: Source) -> None:
        if own.name not in self.whole:
            self.whole.add(own.name)
            for imported in own.imports:
                self.need(*imported)

    def _from_package(self, own: Source, name: str) -> None:
        """A name of a package: its own, one that it imports, or a module in it."""
        self._pass(own.name)
        if name in own.bindings:
            self._bound(own, name)
        elif source(f"{own.name}.{name}"):
            self.need(f"{own.name}.{name}")
        elif name in own.declared:
            self._imported(own, name, own.declared[name])
        else:
            self._all(own)

    def _pass(self, package: str) -> None:
        """A package on the way to a module in it: only what its `__init__` does counts."""
        own = source(package) if package not in NO_NUMBERS else None
        for statement in own.effects if own else ():
            assert own is not None
            self._statement(own, statement)

    def _bound(self, own: Source, name: str) -> None:
        for binding in own.bindings.get(name, ()):
            if isinstance(binding, Import):
                self._imported(own, name, binding)
            else:
                self._statement(own, binding)

    def _imported(self, own: Source, name: str, imported: Import) -> None:
        key = ("import", name, imported)
        if key not in self.parts[own.name]:
            self.parts[own.name][key] = f"{name} = {imported.module}:{imported.name}"
            self.need(*imported)

    def _statement(self, own: Source, statement: ast.stmt) -> None:
        if statement in self.parts[own.name]:
            return
        self.parts[own.name][statement] = own.part(statement)
        for imported in own.imports_of(statement):
            self.need(*imported)
        for name in names_in(statement):
            self._bound(own, name)


@cache
def _by_value(module: str) -> bool:
    """Whether what a module defines goes to a worker by value, as it cannot import it."""
    top = _top(module)
    known = top in sys.stdlib_module_names or references.is_of_file(module)
    return module == "__main__" or not (known or is_importable(top))


def _source(module: str) -> Source:
    found = source(module)
    assert found is not None
    return found


def _top(module: str) -> str:
    return module.partition(".")[0]


def _module(thing: object) -> str:
    """Name of the module that a class or function is defined in."""
    return getattr(thing, "__module__", None) or "builtins"


@cache
def _versions(packages: frozenset[str]) -> dict[str, str]:
    """Versions by distribution; packages of the standard library and of NO_VERSIONS left out."""
    counted = packages - NO_VERSIONS - sys.stdlib_module_names
    wanted = {*ALWAYS, *(d for package in counted if (d := _distribution(package)))}
    return {name: metadata.version(name) for name in sorted(wanted) if _installed(name)}


@cache
def _distribution(package: str) -> str | None:
    """The distribution that a top-level package comes from, if any."""
    if package in sys.stdlib_module_names or package == "__main__":
        return None
    guess = DISTRIBUTIONS.get(package, package)
    if _installed(guess):
        return guess
    return next(iter(_all_distributions().get(package, ())), None)


@cache
def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


_all_distributions: Any = functools.cache(metadata.packages_distributions)
"""Import names to distributions; half a second where many are installed."""

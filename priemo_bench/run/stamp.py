"""Whether a finished run would still be the same, told without torch: a run typed again ends fast.

A stamp covers the spec, the size and time of every file that decides a run (code, data, weights),
and the versions of packages. Where it differs nothing is lost: the keys of the cells decide then.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from priemo_bench import registry
from priemo_bench.contracts.storage import home, write_text
from priemo_bench.run.spec import Spec

FILE = "run.json"
PACKAGES = (
    "torch", "torchvision", "adversarial-robustness-toolbox", "torchattacks", "timm", "numpy",
    "scipy", "pandas", "Pillow", "cryptography", "seaborn", "matplotlib",
)  # fmt: skip
"""Packages whose versions decide numbers, or how a page looks."""


def stamp(spec: Spec, device: str) -> str | None:
    """Digest of all that decides a run; None where a plug-in has no file to look at."""
    files: list[object] = []
    for path in _paths(spec):
        if path is None:
            return None
        files += [[name, size, time] for name, size, time in _stats(path)]
    plain = spec.model_copy(update={"versions": {}}).to_toml()
    parts = [plain, device, files, installed(PACKAGES), _packages(spec)]
    return sha256(json.dumps(parts).encode()).hexdigest()


def is_current(out: Path, now: str | None) -> bool:
    """Whether the run in `out` was finished under this stamp, and its files are as it left them."""
    try:
        found = json.loads((out / FILE).read_text("utf-8"))
        return now is not None and found == {"stamp": now, "files": _written(out)}
    except (OSError, ValueError):
        return False


def save(out: Path, now: str | None) -> None:
    """Note that the run in `out` is finished; last of all its files."""
    write_text(out / FILE, json.dumps({"stamp": now, "files": _written(out)}))


def _written(out: Path) -> dict[str, list[int]]:
    """Bytes and times of tables, figures and page."""
    paths = [*out.glob("*.*"), *(out / "figures").glob("*.*")]
    kept = [path for path in paths if path.name not in (FILE, ".lock") and path.is_file()]
    return {
        str(path.relative_to(out)): [path.stat().st_size, path.stat().st_mtime_ns]
        for path in sorted(kept)
    }


def _paths(spec: Spec) -> Iterator[Path | None]:
    """Files and folders that decide a run; None for a plug-in that cannot be located."""
    for package in ("priemo_bench", "priemo_bench.attacks", "priemo_bench.victims"):
        yield _location(package)
    yield home()
    for dataset in spec.datasets:
        if dataset.data is not None:
            yield Path(dataset.data)
    for kind, name in _used(spec):
        yield from _of_plugin(kind, name)


def _used(spec: Spec) -> list[tuple[str, str]]:
    """Kind and name of the plug-ins of a spec."""
    names: dict[str, Iterable[str]] = {
        "attacks": [attack.name for attack in spec.attacks],
        "victims": [*spec.victims, *spec.all_surrogates],
        "datasets": [dataset.name for dataset in spec.datasets],
        "defenses": ["none", *spec.defenses],
        "metrics": spec.metrics,
    }
    return list(dict.fromkeys((kind, name) for kind, found in names.items() for name in found))


def _packages(spec: Spec) -> list[str]:
    """Distributions of the plug-ins of a spec, with their versions."""
    points = [registry._points(kind).get(name) for kind, name in _used(spec)]
    found = {getattr(point, "dist", None) for point in points} - {None}
    return sorted(f"{dist.name} {dist.version}" for dist in found if dist is not None)


def _of_plugin(kind: str, name: str) -> Iterator[Path | None]:
    reference = registry.reference(kind, name) or name
    if name not in registry._points(kind):
        yield from _of_reference(reference)
        return
    value = getattr(registry._points(kind)[name], "value", None)
    top = value.partition(":")[0].partition(".")[0] if value else ""
    if top != "priemo_bench":
        yield _location(top) if top else None


def _of_reference(reference: str) -> Iterator[Path | None]:
    """Files of a TOML file or a module; None for an object, or what only a loader knows."""
    place = reference.rpartition(":")[0]
    if reference.endswith(".toml"):
        yield Path(reference)
        yield from _named_in(Path(reference))
    elif place.endswith(".py"):
        yield Path(place).parent
    else:
        yield _location(place.partition(".")[0]) if place else None


def _named_in(path: Path) -> Iterator[Path]:
    """Files that a TOML file names, such as weights."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return
    for value in values.values():
        if isinstance(value, str) and (path.parent / value).is_file():
            yield path.parent / value


@cache
def _location(package: str) -> Path | None:
    try:
        found = find_spec(package)
    except (ImportError, ValueError):
        return None
    if found is None:
        return None
    if found.submodule_search_locations:
        return Path(next(iter(found.submodule_search_locations)))
    return Path(found.origin) if found.origin else None


def _stats(path: Path) -> Iterator[tuple[str, int, int]]:
    """Path, bytes and time of a file, or of those in a folder; nothing where it is missing."""
    if path.is_file():
        found = path.stat()
        yield str(path), found.st_size, found.st_mtime_ns
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            found = os.stat(os.path.join(folder, name))
            yield os.path.join(folder, name), found.st_size, found.st_mtime_ns


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Versions of those packages that are there."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

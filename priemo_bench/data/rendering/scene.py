"""From an identity and a view to pixels, with PyVista as the rasteriser.

Light is computed here and PyVista only fills triangles, so a picture hardly depends on the
graphics driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from priemo_bench.data.rendering.assets import Array, Assets, Index
from priemo_bench.data.rendering.head import build_head, from_middle
from priemo_bench.data.rendering.identity import Identity, identity_moves
from priemo_bench.data.rendering.paint import Painter
from priemo_bench.data.rendering.places import EYE_Y
from priemo_bench.data.rendering.view import View, rotation
from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    from pyvista import Actor, Plotter, PolyData

SIZE = 112
SUPERSAMPLE = 3
WIDTH = 1.8  # of the picture, in distances between the eyes and the chin of the neutral face
DOWN = 0.12  # of the width: how far the picture's centre lies below the eyes
NECK = np.array([0.0, 6.5, 0.2], dtype=np.float32)  # what the head turns about
HAIR_DEPTH = {"bald": 0.0, "cropped": 0.02, "short": 0.12, "tied": 0.06, "long": 0.10}
HAIR_BEHIND = 0.2  # depth behind which long hair is shown: in front it would cover the face
IRIS, PUPIL = np.cos(np.radians((25.0, 11.0)))


class Studio:
    """Renders views of identities with one plotter, whose meshes get new points and colours."""

    def __init__(self, assets: Assets | None = None) -> None:
        self.assets = assets or Assets()
        self.head = build_head(self.assets)
        self.painter = Painter(self.head, self.assets)
        self._eyes = [self.head.is_part(f"{side}-eye") for side in "lr"]
        self._chin, self._cheek = _chin(self.head.base), _cheek(self.head.base, self.painter.ears)
        high, wide = EYE_Y - self.head.base[self._chin, 1], self.head.base[self._cheek, 0]
        self._high_to_wide = float(high / wide)
        triangles = self.head.triangles
        hanging = self.head.is_part("hair")[triangles].all(axis=1)
        behind = hanging & (self.head.base[triangles, 2] < HAIR_BEHIND).all(axis=1)
        self._plotter, self._skin = _open_plotter(self.head.base, triangles[~hanging])
        self._shell, self._shell_actor = _add(self._plotter, self.head.base, triangles[behind])
        self._spread = 0.2 * from_middle(self.head, "hair")
        self._identity: Identity | None = None

    def render(self, identity: Identity, view: View) -> NDArray[np.uint8]:
        """A picture (SIZE, SIZE, 3) of `identity` with the parameters of `view`."""
        if identity != self._identity:
            self._set_identity(identity)
        vertices = self._neutral.copy()
        for name, weight in view.units:
            vertices += weight * self.assets.unit(name)
        points, normals = self.head.refine(vertices)
        points += self._hair * normals + self._spread
        colors = self._colors.copy()
        centres = np.stack([points[eye].mean(axis=0) for eye in self._eyes])
        for eye, centre in zip(self._eyes, centres, strict=True):
            colors[eye] = _eye_colors(points[eye] - centre, colors[eye], identity, view)
        turn = rotation(view.yaw, view.pitch, view.roll)
        points, normals = (points - NECK) @ turn.T + NECK, normals @ turn.T
        middle = ((centres - NECK) @ turn.T + NECK).mean(axis=0)
        width = self._width / view.zoom
        middle[:2] += width * np.array([view.shift[0], view.shift[1] - DOWN])
        return _compose(self._rasterise(points, shade(colors, normals, view), middle, width), view)

    def close(self) -> None:
        """Free the plotter."""
        self._plotter.close()

    def _set_identity(self, identity: Identity) -> None:
        self._neutral = self.assets.mesh.vertices + identity_moves(identity, self.assets)
        self._colors = self.painter.paint(identity)
        self._hair = HAIR_DEPTH[identity.hair_style] * self.painter.scalp(identity, 0.3)[:, None]
        points, _ = self.head.refine(self._neutral)
        eyes = np.mean([points[eye].mean(axis=0)[1] for eye in self._eyes])
        high, wide = eyes - points[self._chin, 1], points[self._cheek, 0] - points[:, 0].mean()
        self._width = WIDTH * float(np.sqrt(high * wide * self._high_to_wide))
        self._shell_actor.SetVisibility(identity.hair_style == "long")
        self._identity = identity

    def _rasterise(
        self, points: Array, colors: Array, middle: Array, width: float
    ) -> NDArray[np.uint8]:
        """RGBA picture of the mesh at the supersampled size; orthographic, along -z."""
        for mesh in (self._skin, self._shell):
            mesh.points = points
            mesh["rgb"] = (colors * 255 + 0.5).astype(np.uint8)
        camera = self._plotter.camera
        x, y = float(middle[0]), float(middle[1])
        camera.focal_point, camera.position, camera.up = (x, y, 0), (x, y, 20), (0, 1, 0)
        camera.parallel_scale = width / 2
        camera.clipping_range = (10, 30)
        self._plotter.render()
        return np.asarray(self._plotter.screenshot(transparent_background=True, return_img=True))


def shade(colors: Array, normals: Array, view: View) -> Array:
    """Colours (n, 3) under a key light, a weak fill from the other side and a soft sky."""
    key = np.array(view.light, dtype=np.float32)
    key /= np.linalg.norm(key)
    fill = np.array([-key[0], 0.0, 0.6], dtype=np.float32)
    fill /= np.linalg.norm(fill)
    half = key + np.array([0, 0, 1], dtype=np.float32)
    half /= np.linalg.norm(half)
    diffuse = np.maximum(0, normals @ key)
    amount = view.ambient * (0.85 + 0.3 * normals[:, 1]) + (0.95 - view.ambient) * diffuse
    amount += 0.12 * np.maximum(0, normals @ fill)
    gloss = 0.10 * np.maximum(0, normals @ half) ** 18
    tint = np.array([1 + view.warmth, 1.0, 1 - view.warmth], dtype=np.float32)
    return np.clip((colors * amount[:, None] * 1.15 + gloss[:, None]) * tint, 0, 1)


def _eye_colors(offsets: Array, sclera: Array, identity: Identity, view: View) -> Array:
    """Colours (n, 3) of an eyeball: pupil and iris where it looks, by the angle from its centre."""
    ahead = rotation(view.gaze_yaw, view.gaze_pitch, 0) @ np.array([0, 0, 1], dtype=np.float32)
    cosine = (offsets @ ahead) / np.maximum(np.linalg.norm(offsets, axis=1), 1e-9)
    iris = np.clip((cosine - IRIS) / 0.02, 0, 1)[:, None]
    pupil = np.clip((cosine - PUPIL) / 0.008, 0, 1)[:, None]
    colors: Array = sclera + iris * (np.array(identity.iris) / 255 - sclera)
    colors = colors * (1 - 0.9 * pupil)
    return colors.astype(np.float32)


def _compose(rgba: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """Composite over the background, blur as a lens does and average down to SIZE."""
    grid = (np.indices(rgba.shape[:2]) / (rgba.shape[0] - 1) - 0.5).astype(np.float32)
    angle = np.radians(view.background_angle)
    share = np.clip(0.5 + grid[0] * np.sin(angle) + grid[1] * np.cos(angle), 0, 1)[..., None]
    first, second = (np.array(color, dtype=np.float32) for color in view.background)
    backdrop = first + share * (second - first)
    alpha = rgba[..., 3:].astype(np.float32) / 255
    picture = rgba[..., :3] * alpha + backdrop * (1 - alpha)
    large = Image.fromarray((picture + 0.5).clip(0, 255).astype(np.uint8))
    soft = large.filter(ImageFilter.GaussianBlur(view.softness * SUPERSAMPLE))
    return np.asarray(soft.resize((SIZE, SIZE), Image.Resampling.BOX))


def _chin(base: Array) -> int:
    """The lowest vertex of the face's front in the middle: the tip of the chin."""
    front = (
        (np.abs(base[:, 0]) < 0.03) & (base[:, 1] > 5.9) & (base[:, 1] < 6.4) & (base[:, 2] > 1.1)
    )
    return int(np.flatnonzero(front)[np.argmin(base[front, 1])])


def _cheek(base: Array, ears: Array) -> int:
    """The outermost vertex of the face beside the nose."""
    x, y, z = base.T
    return int(np.argmax(np.where((y > 6.8) & (y < 7.0) & (z > 0.2) & (ears == 0), x, -9)))


def _open_plotter(points: Array, triangles: Index) -> tuple[Plotter, PolyData]:
    try:
        import pyvista
    except ImportError as error:
        raise PriemoError(
            'rendering faces needs pyvista: pip install "priemo-bench[render]"'
        ) from error
    size = SIZE * SUPERSAMPLE
    with pyvista.vtk_verbosity("error"):  # on a machine without a display VTK warns, then manages
        plotter = pyvista.Plotter(off_screen=True, window_size=[size, size])
        plotter.camera.parallel_projection = True
        mesh = _add(plotter, points, triangles)[0]
        plotter.render()
    return plotter, mesh


def _add(plotter: Plotter, points: Array, triangles: Index) -> tuple[PolyData, Actor]:
    import pyvista

    mesh = pyvista.PolyData.from_regular_faces(points.copy(), triangles)
    mesh["rgb"] = np.zeros((len(points), 3), dtype=np.uint8)
    actor = plotter.add_mesh(mesh, scalars="rgb", rgb=True, lighting=False, show_scalar_bar=False)
    return mesh, actor

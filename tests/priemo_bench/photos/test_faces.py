"""Faces are found where they are, in rendered scenes and in two photographs of other packages."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from priemo_bench.photos.faces import Box, Detection, crops, find_faces

SPOTS = [(60, 90, 90), (300, 60, 150), (520, 180, 220)]


def test_three_faces_are_found_where_they_were_pasted(scene) -> None:  # type: ignore[no-untyped-def]
    found = sorted(find_faces(scene(800, 450, SPOTS)), key=lambda face: face.left)
    assert len(found) == len(SPOTS)
    for (left, top, side), face in zip(SPOTS, found, strict=True):
        middle = ((face.left + face.right) / 2, (face.top + face.bottom) / 2)
        assert middle == pytest.approx((left + side / 2, top + side / 2), abs=0.2 * side)
        assert 0.6 * side < face.right - face.left < 1.3 * side


def test_a_face_that_fills_the_picture(scene) -> None:  # type: ignore[no-untyped-def]
    for size in (48, 112):
        picture = Image.fromarray(scene.faces[3]).resize((size, size), 3)
        assert len(find_faces(np.array(picture))) == 1
        assert len(find_faces(np.array(picture.convert("L"))[..., None])) == 1


def test_photographs_of_others() -> None:
    data = pytest.importorskip("skimage.data")
    folder = Path(data.__file__).parent
    (face,) = find_faces(np.array(Image.open(folder / "astronaut.png").convert("RGB")))
    # both eyes and the mouth of the astronaut, read off the picture
    for x, y in ((210, 110), (243, 110), (227, 155)):
        assert face.left < x < face.right
        assert face.top < y < face.bottom
    for name in ("coffee.png", "chelsea.png"):
        assert find_faces(np.array(Image.open(folder / name).convert("RGB"))) == []
    uniform = np.full((90, 70, 3), 128, np.uint8)
    assert find_faces(uniform) == []


def test_crops_are_apart_inside_and_on_the_grid() -> None:
    rng = np.random.default_rng(0)
    for grid in (1, 16):
        for _ in range(200):
            faces = []
            for x, y, side in rng.uniform((0, 0, 15), (300, 200, 120), (4, 3)):
                faces.append(Detection(0.9, x - side / 2, y - side / 2, x + side / 2, y + side / 2))
            boxes = crops(faces, 301, 203, grid)
            canvas = np.zeros((203, 301), int)
            for box in boxes:
                if box.width > 0 and box.height > 0:
                    box.of(canvas)[:] += 1
                for value, end in zip(box, (301, 203) * 2, strict=True):
                    assert 0 <= value <= end
                    assert value % grid == 0 or value == end
            assert canvas.max() <= 1


def test_a_crop_holds_its_face_and_little_else() -> None:
    (box,) = crops([Detection(0.9, 100, 100, 200, 180)], 400, 300)
    assert box == Box(95, 81, 205, 191)  # 5 % on each side, up by 5 % of the height
    boxes = crops([Detection(0.9, 0, 0, 100, 100), Detection(0.8, 98, 0, 198, 100)], 400, 300)
    assert [(b.left, b.right) for b in boxes] == [(0, 100), (100, 203)]
    assert not any(a.right > b.left for a, b in combinations(boxes, 2))

"""Refining a mesh, rotating a head and sampling a person."""

import numpy as np

from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.data.rendering.head import Head, _split, vertex_normals
from priemo_bench.data.rendering.identity import sample_identity
from priemo_bench.data.rendering.view import rotation, sample_view

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=np.float32)
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])


def square_head() -> Head:
    fine, ends = _split(TRIANGLES, 4)
    base = SQUARE[ends].mean(axis=1)
    return Head(fine, ends, base, np.zeros(len(ends), dtype=np.int8), np.arange(4), TRIANGLES)


def test_split_makes_four_triangles_of_each_and_shares_midpoints() -> None:
    head = square_head()
    assert len(head.triangles) == 8
    assert len(head.base) == 4 + 5  # corners, and one midpoint on each of five edges


def test_a_flat_mesh_stays_flat_with_normals_to_the_viewer() -> None:
    points, normals = square_head().refine(SQUARE)
    np.testing.assert_allclose(points[:, 2], 0, atol=1e-6)
    np.testing.assert_allclose(normals, np.tile([0, 0, 1], (9, 1)), atol=1e-6)


def test_midpoints_of_a_bent_mesh_are_rounded_outwards() -> None:
    bent = np.array([[-1, 0, 0], [0, -1, 1], [0, 1, 1], [1, 0, 0]], dtype=np.float32)
    ridge = np.array([[0, 1, 2], [1, 3, 2]])
    fine, ends = _split(ridge, 4)
    head = Head(fine, ends, bent, np.zeros(len(ends), dtype=np.int8), np.arange(4), ridge)
    points, _ = head.refine(bent)
    side = np.flatnonzero((ends == [0, 1]).all(axis=1))[0]
    assert points[side, 2] > 0.5


def test_normals_are_of_unit_length() -> None:
    bent = SQUARE + np.array([[0, 0, 0.3], [0, 0, 0], [0, 0, 0.4], [0, 0, 0]], dtype=np.float32)
    np.testing.assert_allclose(
        np.linalg.norm(vertex_normals(bent, TRIANGLES), axis=1), 1, rtol=1e-5
    )


def test_yaw_turns_the_nose_to_the_right_and_pitch_lifts_it() -> None:
    nose = np.array([0.0, 0.0, 1.0])
    assert (rotation(30, 0, 0) @ nose)[0] > 0.49
    assert (rotation(0, 30, 0) @ nose)[1] > 0.49
    np.testing.assert_allclose(rotation(10, 5, 3) @ rotation(10, 5, 3).T, np.eye(3), atol=1e-6)


def test_the_same_number_is_the_same_person() -> None:
    assert sample_identity(17, 20) == sample_identity(17, 20)
    assert sample_identity(17, 20).name == "p017"
    assert sample_identity(17, 20) != sample_identity(17, 21)


def test_neutral_moves_no_face_unit_and_the_others_move_both_sides() -> None:
    views = {emotion: sample_view(emotion, np.random.default_rng(0)) for emotion in EMOTIONS}
    assert views["neutral"].units == ()
    names = {name for name, _ in views["happy"].units}
    assert {"mouthSmileLeft", "mouthSmileRight", "jawOpen"} <= names

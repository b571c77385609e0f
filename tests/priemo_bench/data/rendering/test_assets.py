"""Reading MakeHuman's text files, on small files written here."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from priemo_bench.data.rendering import assets
from priemo_bench.errors import PriemoError

TARGET = "# a comment\n\n0 .5 0 -1e-3\n2 -0.25 1 2\n"
OBJ = """# a mesh
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
vt 0 0
g body
f 1/1 2/1 3/1 4/1
g helper-l-eye
f 1 2 3
"""


def test_target_moves_the_listed_vertices_only(tmp_path: Path) -> None:
    path = tmp_path / "smile.target"
    path.write_text(TARGET)
    moves = assets.read_target(path, 4)
    np.testing.assert_allclose(moves, [[0.5, 0, -0.001], [0, 0, 0], [-0.25, 1, 2], [0, 0, 0]])


def test_gzipped_target_reads_the_same(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.target", tmp_path / "b.target.gz"
    plain.write_text(TARGET)
    packed.write_bytes(gzip.compress(TARGET.encode()))
    np.testing.assert_array_equal(assets.read_target(plain, 3), assets.read_target(packed, 3))


@pytest.mark.parametrize("line", ["7 0 0 0", "1 0 0", "1 5", "one 0 0 0", "-1 0 0 0"])
def test_line_that_is_no_move_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "bad.target"
    path.write_text(line + "\n")
    with pytest.raises(PriemoError, match=f"bad.target is not a morph target.*{line}"):
        assets.read_target(path, 4)


def test_obj_gives_quads_by_group_and_repeats_a_triangles_last_corner(tmp_path: Path) -> None:
    path = tmp_path / "base.obj"
    path.write_text(OBJ)
    mesh = assets.read_obj(path)
    assert mesh.vertices.shape == (4, 3)
    assert mesh.groups["body"].tolist() == [[0, 1, 2, 3]]
    assert mesh.groups["helper-l-eye"].tolist() == [[0, 1, 2, 2]]


def test_missing_file_names_the_version_that_has_it(tmp_path: Path) -> None:
    with pytest.raises(PriemoError, match=r"no smile\.target.*0\.6\.2"):
        assets.read_target(tmp_path / "smile.target", 4)


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "find_spec", lambda name: None)
    with pytest.raises(PriemoError, match=r'pip install "priemo-bench\[render\]"'):
        assets.asset_folder()

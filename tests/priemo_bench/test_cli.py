"""The command line: what is printed, exit codes, and one sentence for each mistake."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from priemo_bench import cli, registry
from priemo_bench.errors import PriemoError

SPEC = """name = "t"
victims = ["toy-a"]
ssim_floor = 0.8
eps = 0.2
[[datasets]]
name = "toys"
[[attacks]]
name = "nothing"
[[attacks]]
name = "shift"
"""


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """Exit code of `priemo-bench WORDS`."""
    monkeypatch.setattr(sys, "argv", ["priemo-bench", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    code = stopped.value.code
    return code if isinstance(code, int) else 0


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture
def spec(tmp_path: Path, world: object, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "spec.toml"
    path.write_text(SPEC)
    return path


def test_list_names_everything_without_importing_anything_heavy() -> None:
    script = (
        "import sys; sys.argv = ['priemo-bench', 'list', 'attacks']\n"
        "from priemo_bench import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'pandas', 'art', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == registry.names("attacks")


def test_run_report_compare(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "run", spec, "--limit", 14, "--out", "runs/t") == 0
    assert (spec.parent / "runs/t/leaderboard.csv").is_file()
    assert "runs/t/README.md" in capsys.readouterr().out
    page = (spec.parent / "runs/t/README.md").read_text()
    assert f"priemo-bench run {spec} --limit 14 --out runs/t" in page
    assert "14 of 28 test faces" in page
    assert call(monkeypatch, "report", "runs/t") == 0
    assert call(monkeypatch, "report", "runs/t", "--kin", "weights,authors") == 0
    assert call(monkeypatch, "report", "runs/t", "--kin", "author") == 2
    assert "did you mean authors" in capsys.readouterr().err
    assert call(monkeypatch, "compare", "runs/t", "runs/t", "--fail-on", "regression") == 0
    assert "nothing changed: 3 rows agree" in capsys.readouterr().out


MISTAKES = [
    (["run", "defalt"], "did you mean default"),
    (["run", "none.toml"], "none.toml does not exist"),
    (["run", "spec.toml", "--attacks", "shft"], "did you mean shift"),
    (["run", "spec.toml", "--victims", "toy-d"], "did you mean toy-"),
    (["run", "spec.toml", "--defenses", "jepg75"], "did you mean jpeg75"),
    (["run", "spec.toml", "--dataset", "toy"], "did you mean toys"),
    (["run", "spec.toml", "--dataset", "folder", "--data", "nowhere"], "not a directory"),
    (["run", "spec.toml", "--dataset", "fer2013"], "--data"),
    (["run", "spec.toml", "--eps", "2"], "must be in (0, 1]"),
    (["run", "spec.toml", "--eps", "0"], "must be in (0, 1]"),
    (["run", "spec.toml", "--eps", "x"], "'--eps': 'x' must be a number"),
    (["run", "spec.toml", "--ssim-floor", "1"], "ssim_floor is 1.0"),
    (["run", "spec.toml", "--seeds", "a"], "'--seeds': 'a' must be such as 0,1,2"),
    (["run", "spec.toml", "--limit", "0"], "limit is 0"),
    (["run", "spec.toml", "--jobs", "0"], "jobs is 0"),
    (["run", "spec.toml", "--device", "gpu"], "device is called 'gpu'"),
    (["list", "atacks"], "did you mean attacks"),
    (["report", "."], "results.parquet does not exist"),
    (["compare", ".", "."], "results.parquet does not exist"),
    (["install", "toy-a"], "nothing to install"),
    (["cards", "toy-a", "--data", "fer2013.csv"], "is not measured here"),
    (["train", "toy-a", "--data", "fer2013.csv"], "is not trained here"),
    (["fit", "pgd", "--surrogates", "toy-a", "--out", "f.safetensors"], "nothing to save"),
    (["fit", "priemo-universal", "--surrogates", "toy-a", "--out", "f.pt"], "must end in"),
    (["protect", "a.png", "--with", "f.safetensors", "--out", "o"], "f.safetensors does not exist"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), MISTAKES, ids=[" ".join(w) for w, _ in MISTAKES])
def test_a_mistake_is_one_sentence_and_exit_code_2(
    words: list[str],
    said: str,
    spec: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    assert call(monkeypatch, *words) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert len(captured.err.strip().splitlines()) == 1


def test_train_takes_several_names_and_refuses_a_wrong_one_first(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[str] = []

    def train(name: str, *rest: object) -> Path:
        trained.append(name)
        return Path(f"{name}.safetensors")

    def trainable(name: str) -> None:
        if name == "toy-b":
            raise PriemoError("victim 'toy-b' is not trained here")

    monkeypatch.setattr("priemo_bench.train.train_victim", train)
    monkeypatch.setattr("priemo_bench.train.embedded.trainable", trainable)
    assert call(monkeypatch, "train", "toy-a", "toy-c", "--data", "fer2013.csv") == 0
    assert capsys.readouterr().out.split() == ["toy-a.safetensors", "toy-c.safetensors"]
    assert call(monkeypatch, "train", "toy-a", "toy-b", "--data", "fer2013.csv") == 2
    assert trained == ["toy-a", "toy-c"]


def test_ctrl_c(
    spec: Path, world: dict, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stopped(world["attacks"]["shift"].load()):  # type: ignore[misc]
        def generate(self, x: object, y: object = None) -> object:
            os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C does
            return x

    world["attacks"]["shift"].thing = Stopped
    assert call(monkeypatch, "run", spec) == 130
    assert "finished work is kept" in capsys.readouterr().err
    cells = (spec.parent / "runs/t/cells").glob("*.json")
    assert len([path for path in cells if "-" not in path.stem]) == 1


def test_fit_and_protect(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = spec.parent / "u.safetensors"
    words = ["--surrogates", "toy-a,toy-b", "--dataset", "toys", "--limit", 14, "--out", out]
    assert call(monkeypatch, "fit", "priemo-universal", "--ssim-floor", 0.9, *words) == 0
    pixels = np.random.default_rng(0).integers(60, 200, (32, 32), dtype=np.uint8)
    Image.fromarray(pixels).save(spec.parent / "face.png")
    words = ["--with", out, "--out", "kept", "--whole"]
    assert call(monkeypatch, "protect", "face.png", *words) == 0
    protected = pixels_of(spec.parent / "kept/face.png")
    assert protected.shape == pixels.shape
    assert 0 < np.abs(protected.astype(int) - pixels).max() <= 8

"""The runner end to end on toys: what attacks are told, resumption, failures, full disks."""

from __future__ import annotations

import errno
import os
import signal
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from priemo_bench.benchmark import Benchmark
from priemo_bench.contracts import predict as predict_module
from priemo_bench.contracts.image import EMOTIONS, to_float
from priemo_bench.contracts.rows import Rows
from priemo_bench.errors import PriemoError
from priemo_bench.quality.budget import Budget
from priemo_bench.run import context as context_module
from priemo_bench.run.context import RunContext
from priemo_bench.run.execute import published
from priemo_bench.run.plan import cells
from priemo_bench.run.schedule import Workers
from priemo_bench.run.session import Session
from priemo_bench.run.spec import Spec, parse
from priemo_bench.testing import ToyVictim

Attacks = dict[str, Any] | str


def toy_spec(*attacks: Attacks, **more: Any) -> Spec:
    listed = [a if isinstance(a, dict) else {"name": a} for a in attacks]
    values = {
        "name": "t", "datasets": [{"name": "toys"}], "victims": ["toy-a", "toy-b"],
        "ssim_floor": 0.8, "eps": 0.2, "eps_grid": [0.02, 0.1],
    }  # fmt: skip
    return parse({**values, "attacks": listed, **more})


def images_of(spec: Spec, out: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Original and published images by attack and budget."""
    session = Session(spec, out, out, Workers(), "cpu")
    found = {}
    for cell in session.cells:
        x = session.place.context.test_faces(cell).images
        y = np.concatenate(list(published(cell, session.place)))
        found[f"{cell.attack} {cell.budget} {cell.scale}"] = x, y
    return found


def point(world: Any, name: str, thing: Any) -> Any:
    """An entry point of the world that `thing` is behind."""
    return type(world["attacks"]["shift"])(name, thing)


@pytest.mark.usefixtures("world")
def test_an_attack_on_one_classifier_sees_several_as_their_mean_logits(tmp_path: Path) -> None:
    together = ("toy-a", "toy-b")
    pgd = {"name": "pgd", "surrogates": [together], "budgets": ["equal"]}
    spec = toy_spec({**pgd, "params": {"loss": "margin"}}, eps_grid=[0.2], ssim_floor=0.3)
    context = RunContext(spec)
    (classifier,) = context.classifiers("pgd", together, "toys")
    x = to_float(context.test_faces(cells(spec)[0]).images)
    logits = [victim(torch.from_numpy(x)).numpy() for victim in context.victims.values()]
    assert np.allclose(classifier.predict(x), (logits[0] + logits[1]) / 2, atol=1e-5)
    board = Benchmark(spec, out=tmp_path).run().leaderboard()
    assert board["surrogate"].tolist() == ["toy-a+toy-b"]
    assert board["n_victims"].tolist() == [2]
    assert board["protection_rate"].item() > 0.5


@pytest.mark.usefixtures("world")
def test_a_run_from_spec_to_page(tmp_path: Path) -> None:
    spec = toy_spec("nothing", "noise", "gradient", "priemo-image", defenses=["none", "median3"])
    results = Benchmark(spec, out=tmp_path).run()
    board = results.leaderboard().set_index(["attack", "budget"])
    assert (board.loc[("priemo-image", "equal"), "protection_rate"] > 0.5).all()
    assert board[board.index.get_level_values("budget") == "equal"]["within_budget"].all()
    nothing = board.loc[[("nothing", "equal")]].iloc[0]
    assert (nothing["protection_rate"], nothing["ssim"]) == (0.0, 1.0)
    gradient = board.loc[[("gradient", "equal")]].iloc[0]
    assert (gradient["forwards_per_image"], gradient["backwards_per_image"]) == (1.0, 1.0)
    assert set(results.defenses()["defense"]) == {"none", "median3"}
    assert len(results.transfer()) == 2 * len(board)
    tables = ["leaderboard.csv", "transfer.csv", "defenses.csv", "failures.csv"]
    pages = ["README.md", "index.html", "spec.toml", "figures/leaderboard-toys.png"]
    for name in [*tables, *pages, "results.parquet"]:
        assert (tmp_path / name).is_file(), name
    assert not (tmp_path / "figures" / "grid.png").exists()  # toys are no made-up persons
    for name in ("leaderboard", "methods"):
        read = pd.read_csv(tmp_path / f"{name}.csv")["protection_rate"].tolist()
        assert getattr(results, name)()["protection_rate"].tolist() == pytest.approx(read, rel=1e-5)
    assert repr(results).startswith(f"Results({str(tmp_path)!r}): 4 attacks")


def test_a_metric_of_another_plugin_is_a_column(world: Any, tmp_path: Path) -> None:
    def mean_change(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.abs(x.astype(float) - y).mean((1, 2, 3))

    world["metrics"]["mean_change"] = point(world, "mean_change", mean_change)
    spec = toy_spec({"name": "shift", "params": {"eps": 0.02}, "budgets": ["conventional"]})
    assert "mean_change" not in Benchmark(spec, out=tmp_path).run().leaderboard()
    spec = spec.model_copy(update={"metrics": ("mean_change",)})  # computed for finished cells too
    with pytest.raises(PriemoError, match=r"another spec \(other metrics\).*--overwrite"):
        Benchmark(spec, out=tmp_path).run()
    board = Benchmark(spec, out=tmp_path, overwrite=True).run().leaderboard()
    shifted = np.rint(0.02 * 255)
    assert board["mean_change"].iloc[0] == pytest.approx(shifted, abs=0.5)
    assert Rows.load(tmp_path / "results.parquet").further_metrics == ["mean_change"]
    usability = (tmp_path / "README.md").read_text().split("## Usability")[1].split("##")[0]
    assert f"{board['mean_change'].iloc[0]:.3f} |" in usability


def test_a_metric_without_a_number_an_image_is_named(world: Any, tmp_path: Path) -> None:
    world["metrics"]["total"] = point(world, "total", lambda x, y: np.abs(x - y).sum())
    results = Benchmark(toy_spec("nothing", metrics=["total"]), out=tmp_path).run()
    failures = results.failures()
    assert failures["part"].tolist() == ["metric total"]
    assert failures["reason"].str.contains("one number for each").all()
    assert len(results.rows())  # all else is there


@pytest.mark.usefixtures("world")
def test_rows_agree_with_a_victim_asked_directly(tmp_path: Path) -> None:
    spec = toy_spec({"name": "gradient", "budgets": ["equal"]}, surrogates=["toy-a"])
    rows = Benchmark(spec, out=tmp_path).run().rows()
    _, published = images_of(spec, tmp_path)["gradient equal -"]
    direct = ToyVictim(1)(torch_floats(published)).argmax(1).numpy()
    own = rows[rows["victim"] == "toy-b"].sort_values("image")
    assert np.array_equal(own["prediction"].to_numpy(), direct)
    truth = RunContext(spec).split("toys", "test")
    assert np.array_equal(own["label"].to_numpy(), truth.labels)
    assert own["person"].tolist() == truth.persons.tolist()


def torch_floats(images: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(images).float() / 255


class Liar(ToyVictim):
    """Reads every face as happy."""

    def head(self, f: Any) -> Any:
        import torch

        return super().head(f) * 0 + torch.eye(7)[3]


def test_attacks_are_told_what_the_surrogate_reads_never_the_truth(
    world: Any, tmp_path: Path
) -> None:
    told: list[Any] = []

    gradient = world["attacks"]["gradient"].load()

    class Listener(gradient):  # type: ignore[misc, valid-type]
        def generate(self, x: Any, y: Any) -> Any:
            told.append(y)
            return super().generate(x, y)

    world["attacks"]["gradient"].thing = Listener
    world["victims"]["toy-a"].thing = partial(Liar, 0)
    spec = toy_spec({"name": "gradient", "targets": ["none", "sad"]}, surrogates=["toy-a"])
    Benchmark(spec, out=tmp_path).run()
    assert {int(v) for y in told for v in y} == {3, 4}


@pytest.mark.usefixtures("world")
def test_every_knob_lands_on_the_budget(tmp_path: Path) -> None:
    spec = toy_spec("noise", "blur", "gradient", "shared", surrogates=["toy-a"], ssim_floor=0.9)
    board = Benchmark(spec, out=tmp_path).run().leaderboard()
    equal = board[board["budget"] == "equal"]
    budget = Budget(0.9, 0.2)
    for name, (x, y) in images_of(spec, tmp_path).items():
        if " equal " in name and not name.endswith(" one"):
            assert budget.holds(x, y).all(), name
            assert (x != y).any((1, 2, 3)).all(), name
    assert equal[equal["scale"] != "one"]["within_budget"].all()
    one_x, one_y = images_of(spec, tmp_path)["shared equal one"]
    change = one_y.astype(int) - one_x
    inside = (one_x > 60) & (one_x < 195)  # where nothing is clipped all faces change alike
    spread = np.where(inside, change, np.nan)
    assert np.nanmax(np.nanmax(spread, 0) - np.nanmin(spread, 0)) <= 1


def test_each_image_takes_the_strongest_value_that_holds(world: Any, tmp_path: Path) -> None:
    shift = world["attacks"]["shift"].load()

    class Brightness(shift):  # type: ignore[misc, valid-type]
        traits = type(shift.traits)("transform", knob="eps2", strengths=(0.02, 0.06, 0.3))

        def __init__(self, classifier: Any = None, eps2: float = 0.02) -> None:
            super().__init__(classifier, eps2)

    world["attacks"]["shift"].thing = Brightness
    spec = toy_spec({"name": "shift", "budgets": ["equal"]}, ssim_floor=None, eps=0.1)
    board = Benchmark(spec, out=tmp_path).run().leaderboard()
    x, y = images_of(spec, tmp_path)["shift equal -"]
    assert (y.astype(int) - x).max() == round(0.06 * 255)
    assert board.at[0, "strength"] == pytest.approx(0.06)
    assert board.at[0, "unchanged"] == 0


def counting(world: Any, name: str = "shift") -> list[int]:
    """Counts the calls of an attack from here on."""
    calls: list[int] = []
    base = world["attacks"][name].load()

    class Counted(base):  # type: ignore[misc, valid-type]
        def generate(self, x: Any, y: Any = None) -> Any:
            calls.append(len(x))
            return super().generate(x, y)

    world["attacks"][name].thing = Counted
    return calls


def test_finished_cells_are_never_computed_again(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counting(world)
    spec = toy_spec("shift", "nothing")
    first = Benchmark(spec, out=tmp_path).run().leaderboard()
    assert len(calls) == 2
    (tmp_path / "index.html").unlink()  # as if killed before the page was written
    Benchmark(spec, out=tmp_path).run()
    assert (tmp_path / "index.html").is_file()
    written = (tmp_path / "README.md").stat().st_mtime_ns
    for module in (context_module, predict_module):  # no victim may be asked
        monkeypatch.setattr(module, "probabilities", None)
    second = Benchmark(spec, out=tmp_path).run().leaderboard()
    assert len(calls) == 2
    assert (tmp_path / "README.md").stat().st_mtime_ns == written
    pd.testing.assert_frame_equal(first, second)


def test_a_new_victim_or_defense_needs_no_new_attack(world: Any, tmp_path: Path) -> None:
    calls = counting(world)
    Benchmark(toy_spec("shift"), out=tmp_path).run()
    wider = toy_spec("shift", victims=["toy-a", "toy-b", "toy-c"], defenses=["none", "blur"])
    board = Benchmark(wider, out=tmp_path, overwrite=True).run()
    assert len(calls) == 2
    assert set(board.rows()["victim"]) == {"toy-a", "toy-b", "toy-c"}
    assert set(board.defenses()["defense"]) == {"none", "blur"}


def test_an_interrupted_run_goes_on_where_it_stopped(world: Any, tmp_path: Path) -> None:
    calls = counting(world)
    broken = world["attacks"]["broken"].load()

    class Interrupted(broken):  # type: ignore[misc, valid-type]
        def generate(self, x: Any, y: Any = None) -> Any:
            os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C does

    world["attacks"]["broken"].thing = Interrupted
    spec = toy_spec("shift", "broken", "nothing")
    with pytest.raises(KeyboardInterrupt):
        Benchmark(spec, out=tmp_path).run()
    assert len(calls) == 2
    world["attacks"]["broken"].thing = broken
    board = Benchmark(spec, out=tmp_path).run().leaderboard()
    assert len(calls) == 2
    assert set(board["status"]) == {"ok", "failed"}


@pytest.mark.usefixtures("world")
def test_a_failed_cell_has_its_reason_and_is_tried_again(world: Any, tmp_path: Path) -> None:
    spec = toy_spec({"name": "broken", "budgets": ["equal"]}, "nothing")
    results = Benchmark(spec, out=tmp_path).run()
    assert results.failures()["reason"].tolist() == ["RuntimeError: out of luck"]
    assert "RuntimeError: out of luck" in (tmp_path / "README.md").read_text()
    world["attacks"]["broken"].thing = world["attacks"]["shift"].load()
    again = Benchmark(spec, out=tmp_path).run()
    assert again.failures().empty
    assert set(again.leaderboard()["status"]) == {"ok"}


@pytest.mark.usefixtures("world")
def test_nothing_but_failures_still_makes_a_page(tmp_path: Path) -> None:
    results = Benchmark(toy_spec("broken"), out=tmp_path).run()
    assert set(results.leaderboard()["status"]) == {"failed"}
    assert "Failures" in (tmp_path / "README.md").read_text()


def test_a_full_disk_stops_the_run_and_keeps_what_is_done(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counting(world)
    spec = toy_spec({"name": "shift", "budgets": ["equal"]}, "nothing")
    real, moves = os.replace, []

    def full(source: Any, target: Any) -> None:
        moves.extend([target] if "cells" in str(target) else [])
        if len(moves) > 5:  # clean predictions; images, metrics, predictions, facts of a cell
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(PriemoError, match="disk is full"):
        Benchmark(spec, out=tmp_path).run()
    monkeypatch.setattr(os, "replace", real)
    Benchmark(spec, out=tmp_path).run()
    assert len(calls) == 1


@pytest.mark.usefixtures("world")
def test_equal_specs_give_equal_rows(tmp_path: Path) -> None:
    spec = toy_spec("noise", "gradient", seeds=[0, 1])
    frames = [Benchmark(spec, out=tmp_path / name).run().rows() for name in "ab"]
    pd.testing.assert_frame_equal(*frames)
    assert set(frames[0]["seed"]) == {0, 1}


def write_faces(root: Path, seed: int) -> None:
    """A folder data set of noise: a face per emotion to fit on, and one to test."""
    rng = np.random.default_rng(seed)
    for part, emotion in product(("train", "test"), EMOTIONS):
        place = root / part / emotion
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (48, 48), np.uint8)).save(place / "a.png")


@pytest.mark.slow
def test_two_processes_give_the_rows_of_one_and_fit_once_too(tmp_path: Path) -> None:
    write_faces(tmp_path / "faces", seed=0)
    attacks = [
        {"name": "sgd-uap", "params": {"passes": 1}, "budgets": ["equal"]}, {"name": "noise"},
    ]  # fmt: skip
    spec = parse({
        "datasets": [{"name": "folder", "data": str(tmp_path / "faces"), "size": 48}],
        "victims": ["repvgg"], "attacks": attacks, "eps_grid": ["2/255", "8/255"],
    })  # fmt: skip
    one, two = (Benchmark(spec, out=tmp_path / str(n), jobs=n).run().tables.rows for n in (1, 2))
    pd.testing.assert_frame_equal(one.frame, two.frame)
    cost = two.cells[two.cells["attack"] == "sgd-uap"].set_index("scale")["fit_seconds"]
    assert cost["per image"] == cost["one"] > 0


@pytest.mark.slow
def test_processes_that_are_still_there_see_pictures_that_changed(tmp_path: Path) -> None:
    spec = parse({
        "datasets": [{"name": "folder", "data": str(tmp_path / "faces"), "size": 48}],
        "victims": ["repvgg"], "attacks": [{"name": "noise"}], "seeds": [0, 1, 2, 3],
    })  # fmt: skip
    seen = []
    for seed in (0, 1):
        write_faces(tmp_path / "faces", seed)
        alone, beside = (
            Benchmark(spec, out=tmp_path / f"{seed} {jobs}", jobs=jobs).run().rows()
            for jobs in (1, 2)
        )
        pd.testing.assert_frame_equal(alone, beside)
        seen.append(alone["ssim"].tolist())
    assert seen[0] != seen[1]


@pytest.mark.usefixtures("world")
def test_a_report_is_made_again_from_the_rows_alone(tmp_path: Path) -> None:
    from priemo_bench.report import write_report

    Benchmark(toy_spec("nothing", "gradient"), out=tmp_path).run()
    page = (tmp_path / "README.md").read_text()
    alone = tmp_path / "alone"
    alone.mkdir()
    (tmp_path / "results.parquet").rename(alone / "results.parquet")
    write_report(alone)
    assert (alone / "README.md").read_text() == page
    with pytest.raises(PriemoError, match="does not exist"):
        Rows.load(tmp_path / "results.parquet")


@pytest.mark.usefixtures("world")
def test_pictures_are_shown_of_made_up_persons_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Benchmark(toy_spec("gradient"), out=tmp_path / "a").run()
    assert not (tmp_path / "a/figures/grid.png").exists()
    monkeypatch.setattr("priemo_bench.run.examples.SHOWABLE", ("toys",))
    Benchmark(toy_spec("gradient"), out=tmp_path / "b").run()
    with Image.open(tmp_path / "b/figures/grid.png") as picture:
        assert picture.size == (110 + 7 * 36, 16 + 3 * 36)
    assert "grid.png" in (tmp_path / "b/README.md").read_text()


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("more", "said"), [({"jobs": 0}, "jobs is 0"), ({"device": "gpu"}, "device is called 'gpu'")]
)
def test_bad_arguments(more: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(PriemoError, match=said):
        Benchmark(toy_spec("nothing"), out=tmp_path, **more).run()


@pytest.mark.usefixtures("world")
def test_only_judging_victims_predict_under_defenses_where_the_spec_says_so(
    tmp_path: Path,
) -> None:
    attacks = [{"name": "gradient", "surrogates": ["toy-a"], "budgets": ["equal"]},
               {"name": "noise", "budgets": ["equal"]}]  # fmt: skip
    defenses = ["none", "median3"]
    spec = toy_spec(*attacks, defenses=defenses, defended="judging")
    frame = Benchmark(spec, out=tmp_path / "judging").run().rows()
    under = frame[frame["defense"] == "median3"]
    victims = {attack: set(own["victim"]) for attack, own in under.groupby("attack", observed=True)}
    assert victims == {"gradient": {"toy-a"}, "noise": {"toy-a", "toy-b"}}
    whole = Benchmark(toy_spec(*attacks, defenses=defenses), out=tmp_path / "all").run().rows()
    keys = ["attack", "victim", "defense", "image"]
    merged = frame.merge(whole, on=keys, suffixes=("", "_all"))
    assert len(merged) == len(frame) < len(whole)
    assert (merged["prediction"] == merged["prediction_all"]).all()

"""What changes which key: all that decides a result, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from priemo_bench.run import keys as module
from priemo_bench.run.code import Code
from priemo_bench.run.context import RunContext
from priemo_bench.run.keys import Keys, differing
from priemo_bench.run.perturb import Request
from priemo_bench.run.plan import Cell, cells
from priemo_bench.run.spec import parse

pytestmark = pytest.mark.usefixtures("world")


def planned(*attacks: dict[str, Any], **more: Any) -> tuple[list[Cell], Keys]:
    base = {"datasets": [{"name": "toys"}], "victims": ["toy-a", "toy-b"], "seeds": [0, 1]}
    spec = parse({**base, "attacks": list(attacks), **more})
    return cells(spec), Keys(RunContext(spec))


def test_a_key_changes_with_whatever_decides_the_result() -> None:
    (cell, *_), keys = planned({"name": "noise"})
    (seen, *_), others = planned({"name": "gradient"})
    key = keys.keyed(cell).key
    alike, more = planned({"name": "noise", "label": "N", "defenses": False})
    assert key == more.keyed(alike[0]).key
    changed = [
        replace(cell, seed=1), replace(cell, params={"eps": 0.1}), replace(cell, limit=3),
        replace(cell, ssim_floor=0.9), replace(cell, eps=None), replace(cell, target=2),
        replace(cell, budget="conventional"), replace(cell, draw_seed=1, limit=3),
        replace(cell, scale="one"), replace(cell, fit_limit=3), replace(cell, select_limit=3),
    ]  # fmt: skip
    found = [key, *(keys.keyed(c).key for c in changed), others.keyed(seen).key]
    assert len(set(found)) == len(found)


def test_weights_of_a_surrogate_count_and_of_others_do_not(world: Any) -> None:
    (noise, *_), keys = planned({"name": "noise"})
    (seen, *_), others = planned({"name": "gradient", "surrogates": ["toy-a"]})
    before = keys.keyed(noise).key, others.keyed(seen).key
    world["victims"]["toy-a"].thing = world["victims"]["toy-c"].thing
    (noise, *_), keys = planned({"name": "noise"})
    (seen, *_), others = planned({"name": "gradient", "surrogates": ["toy-a"]})
    assert keys.keyed(noise).key == before[0]
    assert others.keyed(seen).key != before[1]


@pytest.mark.parametrize(
    ("changed", "touched"),
    [
        ("Gradient", {"published", "perturbation"}),
        ("ToyVictim", {"published", "perturbation", "prediction"}),
        (module.CRAFT, {"published"}),
        (module.PERTURB, {"published", "perturbation"}),
        (module.PREDICT, {"published", "perturbation", "prediction"}),
        ("Blur", {"prediction"}),
        ("linf", {"metric"}),
    ],
)
def test_changed_code_touches_the_keys_of_its_stage(
    changed: str, touched: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stages() -> dict[str, str]:
        (cell, *_), keys = planned({"name": "gradient"}, defenses=["none", "blur"])
        faces = keys.context.test_faces(cell)
        return {
            "published": keys.keyed(cell).key,
            "perturbation": keys.perturbation(Request.of(cell), faces),
            "prediction": keys.prediction("toy-a", "blur"),
            "metric": keys.metric("linf"),
        }

    before, real = stages(), module.code_of

    def edited(*roots: Any) -> Code:
        names = [
            r if isinstance(r, str) else getattr(r, "__name__", type(r).__name__) for r in roots
        ]
        found = real(*roots)
        return replace(found, sources="edited") if any(changed in n for n in names) else found

    monkeypatch.setattr(module, "code_of", edited)
    assert set(differing(before, stages())) == touched


def test_strength_is_one_for_all_seeds_and_scales() -> None:
    found, keys = planned({"name": "uap-pgd", "surrogates": ["toy-a"]}, seeds=[3, 4])
    equal = [c for c in found if c.budget == "equal"]
    assert len(equal) == 4
    assert len({keys.strength(c) for c in equal}) == 1
    assert len({keys.strength(replace(c, ssim_floor=0.9)) for c in equal}) == 1
    assert keys.strength(equal[0]) != keys.strength(replace(equal[0], ssim_floor=0.9))


def test_a_sample_of_faces_is_known_by_its_faces(tmp_path: Path) -> None:
    (cell, *_), keys = planned({"name": "noise"})
    assert keys.clean(cell) == keys.clean(replace(cell, limit=28, draw_seed=5))  # all there are
    assert keys.clean(cell) != keys.clean(replace(cell, limit=3))

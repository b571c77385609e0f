"""Parameters of `PriEMO`: what each scope takes by default, and which values are in range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from priemo_bench.attacks.base import require_truth, require_whole
from priemo_bench.attacks.priemo.objective import Distance, Loss, Weighting
from priemo_bench.errors import PriemoError, require
from priemo_bench.registry import unknown

if TYPE_CHECKING:
    from priemo_bench.attacks.priemo.attack import PriEMO

Scope = Literal["image", "class", "universal", "generator"]
STEPS: dict[Scope, int] = {"image": 25, "class": 15, "universal": 15, "generator": 100}
"""Passes per image, or over the fit images."""
FEWEST: dict[Scope, int] = {"class": 450, "universal": 450}
"""Mini-batches that a fit looks at, however few the faces: altered, none comes twice alike."""
DIVERSITY: dict[Scope, float] = {"image": 0.0, "class": 1.0, "universal": 1.0}
"""Chance that a face is altered before it is read; a generator has alterations of its own."""


def mini_batches(scope: Scope, passes: int | None, faces: int, batch: int) -> int:
    """How many mini-batches of `batch` a fit on `faces` takes; `passes` None is by default."""
    if passes is not None:
        return max(1, passes * faces // batch)
    return max(FEWEST.get(scope, 1), STEPS[scope] * faces // batch)


def check(attack: PriEMO) -> None:
    """PriemoError for what `PriEMO` documents as out of range."""
    for plural, value, known in (
        ("scopes", attack.scope, Scope), ("losses", attack.loss, Loss),
        ("distances", attack.distance, Distance), ("weightings", attack.weighting, Weighting),
    ):  # fmt: skip
        if value not in get_args(known):
            raise unknown(plural, str(value), get_args(known))
    budget = attack.budget  # checks its bounds
    if budget.floor is None and budget.eps is None:
        raise PriemoError("ssim_floor, psnr_floor and eps are all None; give a floor or a cap")
    require_whole(attack, "batch_size", *(["steps"] if attack.steps is not None else []))
    require_whole(attack, "restarts", low=0)
    for name in ("delta", "balance"):
        require(0 <= getattr(attack, name) <= 1, name, getattr(attack, name), "in [0, 1]")
    if attack.diversity is not None:
        require(0 <= attack.diversity <= 1, "diversity", attack.diversity, "in [0, 1], or None")
    require(0 <= attack.momentum < 1, "momentum", attack.momentum, "in [0, 1)")
    for name in ("confidence", "translation", "sharpness"):
        require(getattr(attack, name) >= 0, name, getattr(attack, name), "0 or more")
    require_truth(attack, "targeted", "verbose")

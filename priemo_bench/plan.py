"""From a spec to its cells: one attack, surrogate, target, budget and seed on one data set each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from itertools import product
from typing import Any, Literal

from priemo_bench import __version__, registry
from priemo_bench.attack import SHARED, Traits
from priemo_bench.errors import PriemoError
from priemo_bench.images import EMOTIONS
from priemo_bench.spec import AttackSpec, BudgetName, Spec, as_tuple

Scale = Literal["-", "per image", "one"]
"""How a shared perturbation is scaled: to each image, or at one strength for all."""


@dataclass(frozen=True)
class Cell:
    """Protected images that are made together, and what decides how.

    Attributes:
        attack: label in the tables; entry: name of the entry point.
        surrogates: the classifiers the attack looks into, none for an attack without a model.
        target: index into EMOTIONS, or -1.
        limit, fit_limit, select_limit: faces to protect, learn from, choose the strength on.
        defended: whether the result is also read under the defenses.
        key: digest of all that decides the result; names its files.
    """

    dataset: str
    attack: str
    entry: str
    family: str
    scope: str
    scale: Scale
    surrogates: tuple[str, ...]
    target: int
    budget: BudgetName
    seed: int
    params: dict[str, Any] = field(hash=False)
    ssim_floor: float | None
    eps: float | None
    eps_grid: tuple[float, ...]
    draw_seed: int
    limit: int | None
    fit_limit: int | None
    select_limit: int | None
    defended: bool = field(compare=False)
    key: str = field(default="", compare=False)

    @property
    def surrogate(self) -> str:
        """The surrogates as one name; "-" without any."""
        return "+".join(self.surrogates) or "-"

    @property
    def title(self) -> str:
        """The cell in a few words, for progress bars and failures."""
        words = [self.attack]
        if self.surrogates:
            words.append(f"on {self.surrogate}")
        if self.target >= 0:
            words.append(f"to {EMOTIONS[self.target]}")
        return " ".join([*words, f"({self.dataset}, {self.budget}, seed {self.seed})"])

    def keyed(self, fingerprints: Mapping[str, str]) -> Cell:
        """The same with its key, from the fingerprints of its data set and surrogates."""
        own = {k: v for k, v in asdict(self).items() if k not in ("attack", "defended", "key")}
        weights = [fingerprints[f"victim {name}"] for name in self.surrogates]
        data = [fingerprints[f"{part} {self.dataset}"] for part in ("fit", "test")]
        text = json.dumps([__version__, own, weights, data], sort_keys=True)
        return Cell(**{**vars(self), "key": sha256(text.encode()).hexdigest()[:20]})


def made_as(cell: Cell) -> Cell:
    """The same for cells that one attack makes, fitted once at the strength chosen once."""
    return replace(cell, scale="-", limit=None)


def cells(spec: Spec) -> list[Cell]:
    """All cells of a spec, in its order, without keys.

    Raises:
        PriemoError: an attack that cannot be targeted has targets.
    """
    found = [
        cell
        for dataset in spec.datasets
        for attack in spec.attacks
        for cell in _of_attack(spec, dataset.name, dataset.limit, attack)
    ]
    return list(dict.fromkeys(found))


def _of_attack(spec: Spec, dataset: str, limit: int | None, attack: AttackSpec) -> Iterator[Cell]:
    traits: Traits = registry.get("attacks", attack.name).traits
    targets = [t for name in attack.targets for t in (EMOTIONS if name == "all" else (name,))]
    if not traits.targeted and any(t != "none" for t in targets):
        raise PriemoError(f"attack {attack.title!r} cannot be targeted; leave its targets out")
    seeds = (attack.seeds or spec.seeds) if traits.random else (0,)
    for surrogates in _surrogates(spec, attack, traits):
        for target, seed in product(targets, seeds):
            for budget, scale in _budgets(attack, traits):
                own = attack.conventional if budget == "conventional" else {}
                yield Cell(
                    dataset=dataset,
                    attack=attack.title,
                    entry=attack.name,
                    family=traits.family,
                    scope=traits.scope,
                    scale=scale,
                    surrogates=surrogates,
                    target=-1 if target == "none" else EMOTIONS.index(target),
                    budget=budget,
                    seed=seed,
                    params={**attack.params, **own},
                    ssim_floor=spec.ssim_floor,
                    eps=spec.eps,
                    eps_grid=attack.eps_grid or spec.eps_grid,
                    draw_seed=spec.draw_seed,
                    limit=min((n for n in (attack.limit, limit) if n), default=None),
                    fit_limit=attack.fit_limit or spec.fit_limit,
                    select_limit=attack.select_limit or spec.select_limit,
                    defended=attack.defenses and budget == "equal",
                )


def _surrogates(spec: Spec, attack: AttackSpec, traits: Traits) -> list[tuple[str, ...]]:
    if traits.surrogates == "none":
        return [()]
    return [as_tuple(item) for item in attack.surrogates or spec.surrogates or spec.victims]


def _budgets(attack: AttackSpec, traits: Traits) -> Iterator[tuple[BudgetName, Scale]]:
    """What rows an attack gets; one that keeps the budget by itself has no other settings."""
    default: tuple[BudgetName, ...] = ("equal", "conventional")
    if not attack.conventional and (traits.budgeted or traits.knob is None):
        default = ("equal",)
    shared = traits.scope in SHARED
    for budget in attack.budgets or default:
        if budget == "conventional":
            yield budget, "one" if shared and not traits.budgeted else "-"
        else:
            yield budget, "per image" if shared else "-"
            if shared and traits.knob == "eps" and attack.one_strength:
                yield budget, "one"

"""From a spec to its cells: one attack, surrogate, target, budget and seed on one data set each.

A cell gets its key, a digest of all that decides its images, from `run/keys.py`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

from priemo_bench import registry
from priemo_bench.contracts.attack import FITTED_SCOPES, Traits
from priemo_bench.contracts.budgets import CONVENTIONAL, EQUAL, KINDS, Bounds, kind
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.errors import PriemoError
from priemo_bench.run.spec import AttackSpec, Spec, as_tuple

Threat = Literal["white-box", "transfer", "no-model"]
Scale = Literal["-", "per image", "one"]
"""How a universal perturbation is scaled: for each image, or at one strength for all."""


@dataclass(frozen=True)
class Cell:
    """Images that are protected together, and all that decides them.

    Attributes:
        attack: label in the tables; entry: name of the entry point; family, scope, knob,
            budgeted: of its traits.
        surrogates: classifiers that the attack has white-box access to, in order.
        threat: threat model of the row: its judging victims, and how its strength is chosen.
        target: index into EMOTIONS, or -1 for untargeted.
        budget: its name (`contracts.budgets`).
        ssim_floor, psnr_floor: of the budget, one at most; both None at conventional settings.
        eps: linf cap of the budget.
        seed: of the attack; first_seed: with which the strength of all seeds is chosen.
        limit, fit_limit, select_limit: faces to protect, to fit on, to choose the strength on.
        defended: victims that predict the images under the defenses, too.
        key: digest of all that decides the images; names the cell's files.
    """

    dataset: str
    attack: str
    entry: str
    family: str
    scope: str
    knob: str | None
    budgeted: bool
    scale: Scale
    surrogates: tuple[str, ...]
    threat: Threat
    target: int
    budget: str
    seed: int
    first_seed: int
    params: dict[str, Any] = field(hash=False)
    ssim_floor: float | None
    psnr_floor: float | None
    eps: float | None
    eps_grid: tuple[float, ...]
    draw_seed: int
    limit: int | None
    fit_limit: int | None
    select_limit: int | None
    defended: tuple[str, ...] = field(compare=False)
    key: str = field(default="", compare=False)

    @property
    def surrogate(self) -> str:
        """The surrogates as one name, joined by "+"; "-" without any."""
        return "+".join(self.surrogates) or "-"

    @property
    def title(self) -> str:
        """The cell in a few words, for progress bars and failures."""
        words = [self.attack]
        if self.surrogates:
            words.append(f"on {self.surrogate}")
        if self.target >= 0:
            words.append(f"to {EMOTIONS[self.target]}")
        if self.scale == "one":
            words.append("at one strength")
        return " ".join([*words, f"({self.dataset}, {self.budget}, seed {self.seed})"])

    @property
    def has_choice(self) -> bool:
        """Whether the strength of the attack is chosen on the fit split."""
        return self.has_eps and bool(self.surrogates) and len(self.eps_grid) > 1

    @property
    def has_eps(self) -> bool:
        """Whether the attack has an eps, and its perturbations are matched to the budget."""
        return self.budget != CONVENTIONAL and self.knob == "eps" and not self.budgeted

    @property
    def batch(self) -> Hashable:
        """Equal for cells that one process makes, one after another, as they share work.

        Fitted attacks serve several budgets and scales, and a strength that is chosen with the
        first seed serves all seeds.
        """
        seed = self.first_seed if self.has_choice else self.seed
        return self.dataset, self.attack, self.entry, self.surrogates, self.target, seed


def cells(spec: Spec) -> list[Cell]:
    """All cells of a spec, in its order, without keys; none of attacks that do not load.

    Raises:
        PriemoError: an attack that cannot be targeted has targets.
    """
    broken = broken_attacks(spec)
    found = [
        cell
        for dataset in spec.datasets
        for attack in spec.attacks
        if attack.name not in broken
        for cell in _of_attack(spec, dataset.name, dataset.limit, attack)
    ]
    if not found and not broken:
        wanted = {name for attack in spec.attacks for name in attack.budgets or KINDS}
        raise PriemoError(
            f"no attack has a row: their budgets are {', '.join(sorted(wanted))}, those of the run "
            f"{', '.join(spec.budgets) or 'none'}"
        )
    return list(dict.fromkeys(found))


def broken_attacks(spec: Spec) -> dict[str, str]:
    """Why an attack's entry point does not load, by its name; they cost nobody else."""
    reasons = {}
    for name in dict.fromkeys(attack.name for attack in spec.attacks):
        try:
            registry.get("attacks", name)
        except PriemoError as error:
            reasons[name] = str(error)
    return reasons


def _of_attack(spec: Spec, dataset: str, limit: int | None, attack: AttackSpec) -> Iterator[Cell]:
    traits: Traits = registry.get("attacks", attack.name).traits
    targets = [t for name in attack.targets for t in (EMOTIONS if name == "all" else (name,))]
    if not traits.targeted and any(t != "none" for t in targets):
        raise PriemoError(f"attack {attack.title!r} cannot be targeted; leave its targets out")
    seeds = (attack.seeds or spec.seeds) if traits.random else (0,)
    for surrogates in _surrogates(spec, attack, traits):
        threat = _threat(spec, attack, surrogates)
        for target, (budget, bounds) in product(targets, _budgets(spec, attack, traits).items()):
            free = budget == CONVENTIONAL
            for seed, scale in product(seeds, _scales(budget, attack, traits)):
                yield Cell(
                    dataset=dataset,
                    attack=attack.title,
                    entry=attack.name,
                    family=traits.family,
                    scope=traits.scope,
                    knob=traits.knob,
                    budgeted=traits.budgeted,
                    scale=scale,
                    surrogates=surrogates,
                    threat=threat,
                    target=-1 if target == "none" else EMOTIONS.index(target),
                    budget=budget,
                    seed=seed,
                    first_seed=seeds[0],
                    params={**attack.params, **(attack.conventional if free else {})},
                    ssim_floor=None if free else bounds.ssim_floor,
                    psnr_floor=None if free else bounds.psnr_floor,
                    eps=bounds.eps,
                    eps_grid=_grid(attack.eps_grid or spec.eps_grid, bounds.eps),
                    draw_seed=spec.draw_seed,
                    limit=min((n for n in (attack.limit, limit) if n), default=None),
                    fit_limit=attack.fit_limit or spec.fit_limit,
                    select_limit=attack.select_limit or spec.select_limit,
                    defended=(
                        _defended(spec, surrogates, threat)
                        if attack.defenses and kind(budget) == EQUAL and scale != "one"
                        else ()
                    ),
                )


def _surrogates(spec: Spec, attack: AttackSpec, traits: Traits) -> list[tuple[str, ...]]:
    if traits.surrogates == "none":
        return [()]
    if not (groups := spec.groups(attack)):
        raise PriemoError(
            f"attack {attack.title!r} looks into a model, and every victim is a black box; give "
            "surrogates"
        )
    return [as_tuple(item) for item in groups]


def _threat(spec: Spec, attack: AttackSpec, surrogates: tuple[str, ...]) -> Threat:
    if not surrogates:
        return "no-model"
    given = attack.threat or spec.threat
    return given or ("white-box" if set(surrogates) & set(spec.victims) else "transfer")


def _defended(spec: Spec, surrogates: tuple[str, ...], threat: Threat) -> tuple[str, ...]:
    """Victims of a row that predict under the defenses, too."""
    if spec.defended == "all" or threat == "no-model":
        return spec.victims
    inside = threat == "white-box"
    return tuple(victim for victim in spec.victims if (victim in surrogates) == inside)


def _grid(given: tuple[float, ...], cap: float | None) -> tuple[float, ...]:
    """Strengths to choose from, weakest first, up to the cap and with it."""
    top = cap or max(given)
    return (*sorted(e for e in set(given) if e < top), top)


def _budgets(spec: Spec, attack: AttackSpec, traits: Traits) -> dict[str, Bounds]:
    """What rows an attack gets; one that keeps the budget by itself has no other settings.

    One that can keep none, as encryption, has the first, and no others.
    """
    fits = traits.budgeted or traits.knob is not None
    usual = attack.budgets or attack.conventional or not (traits.budgeted or traits.knob is None)
    return {
        name: own
        for name, own in spec.budgets.items()
        if attack.has_budget(name)
        and (fits or name in (EQUAL, CONVENTIONAL))
        and (usual or name != CONVENTIONAL)
    }


def _scales(budget: str, attack: AttackSpec, traits: Traits) -> tuple[Scale, ...]:
    if traits.scope not in FITTED_SCOPES:
        return ("-",)
    if budget == CONVENTIONAL:
        return ("-",) if traits.budgeted else ("one",)
    return ("per image", "one") if traits.knob == "eps" and attack.one_strength else ("per image",)

"""What a study of adversaries fixes: data, victims, attacks at their budgets, sizes, seed."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from priemo_bench.contracts.config import StrictModel, first_error
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown
from priemo_bench.run.spec import AttackSpec, Bound, Count, DatasetSpec, Params, Seed, Spec

BUNDLED = ("study",)
"""Studies that come with the package."""
AdversaryName = Literal[
    "reading", "averaging", "leak", "retraining", "tuning", "purifier", "adaptive", "detector",
    "cost",
]  # fmt: skip
Share = Annotated[float, Field(gt=0, le=1)]
Counts = Annotated[tuple[Count, ...], Field(min_length=1)]


class AttackStudy(StrictModel):
    """An attack at one budget, and the adversaries that are tried on it.

    Attributes:
        name: of the entry point; label: what the table calls it; params: constructor arguments.
        surrogates: instead of the study's.
        ssim_floor, eps: of every published image; both None ("none" in TOML) for the attack's
            conventional settings, which a cipher or a transform needs.
        seen: published images beside the test faces that an adversary may come by.
        adversaries: whom it is tried against.
        purified_from: labels of attacks whose leaked pairs a purifier also learns from.
        shares: of protected training faces, instead of the study's.
    """

    name: str
    label: str = ""
    params: Params = {}
    surrogates: tuple[str, ...] | None = None
    ssim_floor: Bound = 0.997
    eps: Bound = 8 / 255
    seen: Count = 4000
    adversaries: tuple[AdversaryName, ...] = ()
    purified_from: tuple[str, ...] = ()
    shares: tuple[Share, ...] | None = None

    @property
    def title(self) -> str:
        """Label, or name, and floor: no two attacks of a study have the same."""
        floor = "" if self.ssim_floor is None else f", SSIM {self.ssim_floor:g}"
        return (self.label or self.name) + floor


class Averaging(StrictModel):
    """How many published images are averaged."""

    amounts: Counts = (1, 3, 10, 30, 100, 300, 1000)


class Retraining(StrictModel):
    """Recognisers that an adversary trains himself.

    Attributes:
        victim, options: an embedded victim, whose network is trained with these options replaced.
        faces, epochs, batch, rate: of a training from random weights.
        shares: of its faces that are protected.
        tuned: victims that are trained on; tuned_faces, tuned_epochs, tuned_rate: on protected
            faces only.
    """

    victim: str = "repvgg"
    options: dict[str, Any] = {}
    faces: Count = 4000
    epochs: Count = 8
    batch: Count = 64
    rate: Annotated[float, Field(gt=0)] = 2e-3
    shares: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.01, 0.1, 1.0)
    tuned: tuple[str, ...] = ()
    tuned_faces: Count = 2000
    tuned_epochs: Count = 2
    tuned_rate: Annotated[float, Field(gt=0)] = 2e-4


class Purifying(StrictModel):
    """Leaked pairs that a purifier learns from.

    Attributes:
        pairs: of the attack itself; other_pairs: of an attack in `purified_from`.
    """

    pairs: Counts = (200, 1000, 5000)
    other_pairs: Count = 1000


class Detecting(StrictModel):
    """Pairs that a learned detector is shown, and clean faces that every threshold is set on."""

    pairs: Count = 1000
    held: Count = 500


class Study(StrictModel):
    """A study: all that decides it but code, data and weights.

    Attributes:
        surrogates: whom attacks may look into; victims: whom adversaries are judged on; newer:
            victims that nobody looks into, for the adversary who just waits.
        fit_limit: faces of the fit split that attacks are fitted on.

    Example:
        >>> from priemo_bench.adversaries.study import load
        >>> study = load("study", limit=20)
        >>> study.name, study.dataset.limit
        ('adversaries', 20)
    """

    name: str = "adversaries"
    dataset: DatasetSpec
    surrogates: Annotated[tuple[str, ...], Field(min_length=1)]
    victims: Annotated[tuple[str, ...], Field(min_length=1)]
    newer: tuple[str, ...] = ()
    seed: Seed = 0
    fit_limit: Count = 200
    averaging: Averaging = Averaging()
    retraining: Retraining = Retraining()
    purifying: Purifying = Purifying()
    detecting: Detecting = Detecting()
    attacks: Annotated[tuple[AttackStudy, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_right(self) -> Study:
        self.spec  # noqa: B018  (names are checked there)
        titles = [attack.title for attack in self.attacks]
        if len(set(titles)) < len(titles):
            raise PriemoError(
                "two attacks of the study have one label and floor; give each its own"
            )
        known = [attack.label or attack.name for attack in self.attacks]
        for name in (name for attack in self.attacks for name in attack.purified_from):
            if name not in known:
                raise unknown("attacks", name, known)
        return self

    @property
    def spec(self) -> Spec:
        """Its data, victims and attacks as a run has them."""
        attacks = tuple(
            AttackSpec(name=a.name, label=a.title, params=a.params, surrogates=a.surrogates)
            for a in self.attacks
        )
        return Spec(
            name=self.name, datasets=(self.dataset,), attacks=attacks, fit_limit=self.fit_limit,
            victims=tuple(dict.fromkeys([*self.victims, *self.newer, *self.retraining.tuned])),
            surrogates=self.surrogates,
        )  # fmt: skip

    def named(self, label: str) -> AttackStudy:
        """The first attack with this label, or name."""
        return next(attack for attack in self.attacks if label in (attack.label, attack.name))


def load(
    source: str | Path = "study",
    data: Path | None = None,
    limit: int | None = None,
) -> Study:
    """A bundled study, or a TOML file.

    Args:
        data: the user's copy of its data set. limit: test faces, instead of its own.

    Raises:
        PriemoError: no such study, not TOML, or a key, name or value that is wrong.
    """
    try:
        values = tomllib.loads(_text(source))
    except (ValueError, RecursionError) as error:
        if isinstance(error, PriemoError):
            raise
        raise PriemoError(f"study {source} is not TOML: {error}") from None
    except OSError as error:
        raise PriemoError(f"study {source} cannot be read: {error}") from None
    given = {"data": None if data is None else str(data), "limit": limit}
    if isinstance(values.get("dataset"), dict):
        values["dataset"] |= {k: v for k, v in given.items() if v is not None}
    try:
        return Study(**values)
    except ValidationError as error:
        raise first_error(error, Study, "keys of a study") from None


def _text(source: str | Path) -> str:
    path = Path(source)
    if str(source) in BUNDLED:
        return (files("priemo_bench.adversaries") / f"{source}.toml").read_text("utf-8")
    if path.is_file():
        return path.read_text("utf-8")
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise PriemoError(f"study {path} does not exist")
    raise unknown("studies", str(source), BUNDLED)

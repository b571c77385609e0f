"""The spec of a run: TOML, validated, with overrides of the command line."""

from __future__ import annotations

import tomllib
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)

from priemo_bench.contracts.attack import EPS_GRID
from priemo_bench.contracts.config import StrictModel, first_error
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.errors import PriemoError
from priemo_bench.registry import check, names, unknown

SPECS = files("priemo_bench") / "specs"
BUNDLED = tuple(sorted(s.name[:-5] for s in SPECS.iterdir() if s.name.endswith(".toml")))
"""Specs that come with the package."""


def number(value: object) -> object:
    """A number or a fraction such as "8/255" as a float; "none" as None (TOML has no null)."""
    if value == "none":
        return None
    if isinstance(value, str):
        try:
            above, slash, below = value.partition("/")
            return float(Fraction(above) / Fraction(below if slash else 1))
        except (ValueError, ZeroDivisionError):
            return value  # pydantic says what is wrong
    return value


Number = Annotated[float, BeforeValidator(number)]
Limit = PositiveInt | None
Surrogates = tuple[str | tuple[str, ...], ...]
BudgetName = Literal["equal", "equal-psnr", "conventional"]
"""Under the SSIM floor, under the PSNR floor, and at the attack's conventional settings."""
Threat = Literal["white-box", "transfer"]


class DatasetSpec(StrictModel):
    """A data set: its name, the user's copy, side in pixels, and the size of the test sample."""

    name: str
    data: Path | None = None
    size: PositiveInt | None = None
    limit: Limit = None


class AttackSpec(StrictModel):
    """An attack and what differs for it from the rest of the spec.

    Attributes:
        name: of the entry point; label: what the tables call it.
        params: constructor arguments; conventional: those of its row at conventional settings,
            over `params`.
        budgets: of its rows; None is all that the spec has, and conventional settings where they
            differ.
        targets: emotions, "all", or "none" for untargeted.
        limit: at most this many of the data set's test faces are protected.
        fit_limit, select_limit: faces to fit on, to choose the strength on, instead of the spec's.
        surrogates, seeds, eps_grid, threat: instead of the spec's.
        defenses: whether its equal-budget rows are judged under the defenses, too.
        one_strength: whether a universal perturbation gets a second row, at one strength for all
            faces.
    """

    name: str
    label: str = ""
    params: dict[str, Any] = {}
    conventional: dict[str, Any] = {}
    budgets: tuple[BudgetName, ...] | None = None
    targets: tuple[str, ...] = ("none",)
    limit: Limit = None
    fit_limit: Limit = None
    select_limit: Limit = None
    surrogates: Surrogates | None = None
    seeds: tuple[int, ...] | None = None
    eps_grid: tuple[Number, ...] | None = None
    threat: Threat | None = None
    defenses: bool = True
    one_strength: bool = True

    @property
    def title(self) -> str:
        return self.label or self.name


class Spec(StrictModel):
    """A run: all that decides it but code, data and weights.

    Attributes:
        surrogates: names, or tuples of names for several at once; empty is each victim in turn.
        ssim_floor, eps: the equal-quality budget; None ("none" in TOML) for no bound.
        psnr_floor: in dB, of a second budget with the same cap, for equal energy; None for none.
        eps_grid: from which an attack with an eps gets it, below the cap, which is always tried.
        threat: threat model of rows with surrogates, which decides their judging victims and how
            their strength is chosen: "white-box" is their surrogates, "transfer" all other
            victims. None is "transfer" where no surrogate is among the victims.
        fit_limit, select_limit: faces of the fit split to fit on, and to choose the strength on;
            None is all.
        metrics: of quality, beyond `priemo_bench.contracts.metric.MEASURES`.
        draw_seed: of the sample of test faces where there is a limit.
        versions: of the packages that ran it; for the record, not used.

    Example:
        >>> from priemo_bench.run.spec import load
        >>> spec = load("default", attacks=("noise",), limit=10)
        >>> spec.ssim_floor, [attack.name for attack in spec.attacks], spec.datasets[0].limit
        (0.997, ['noise'], 10)
    """

    name: str = "custom"
    datasets: tuple[DatasetSpec, ...] = Field(min_length=1)
    victims: tuple[str, ...] = Field(min_length=1)
    surrogates: Surrogates = ()
    defenses: tuple[str, ...] = ("none",)
    metrics: tuple[str, ...] = ()
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    ssim_floor: Annotated[float | None, BeforeValidator(number)] = 0.997
    eps: Annotated[float | None, BeforeValidator(number)] = 8 / 255
    psnr_floor: Annotated[float | None, BeforeValidator(number)] = None
    eps_grid: tuple[Number, ...] = EPS_GRID
    threat: Threat | None = None
    fit_limit: Limit = None
    select_limit: Limit = 100
    draw_seed: int = 0
    attacks: tuple[AttackSpec, ...] = Field(min_length=1)
    versions: dict[str, str] = {}

    @model_validator(mode="after")
    def _names_exist(self) -> Spec:
        for kind, used in {
            "datasets": [d.name for d in self.datasets],
            "victims": [*self.victims, *self.all_surrogates],
            "defenses": self.defenses,
            "metrics": self.metrics,
            "attacks": [a.name for a in self.attacks],
        }.items():
            for name in used:
                check(kind, name)
        for target in (t for a in self.attacks for t in a.targets):
            if target not in (*EMOTIONS, "all", "none"):
                raise unknown("emotions", target, (*EMOTIONS, "all", "none"))
        if len({d.name for d in self.datasets}) < len(self.datasets):
            raise PriemoError("a data set stands twice in the spec; give each once")
        for value in (*self.eps_grid, *(e for a in self.attacks for e in a.eps_grid or ())):
            if not 0 < value <= 1:
                raise PriemoError(f"eps_grid holds {value}; it must be in (0, 1]")
        return self

    @property
    def all_surrogates(self) -> list[str]:
        """Every surrogate of some attack, once."""
        chosen = [self.surrogates or self.victims, *(a.surrogates or () for a in self.attacks)]
        flat = [name for group in chosen for item in group for name in as_tuple(item)]
        return list(dict.fromkeys(flat))

    def check(self) -> Spec:
        """The spec itself, after its budget is checked (which imports torch)."""
        from priemo_bench.quality.budget import Budget

        Budget(self.ssim_floor, self.eps)
        Budget(self.psnr_floor, self.eps, "psnr")
        return self

    def to_toml(self) -> str:
        """TOML that reads back as this spec."""
        import tomli_w

        values = self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        for bound in ("ssim_floor", "eps"):
            values[bound] = "none" if getattr(self, bound) is None else getattr(self, bound)
        values["attacks"] = values.pop("attacks")  # tables last
        return tomli_w.dumps(values)


def as_tuple(item: str | tuple[str, ...]) -> tuple[str, ...]:
    """One surrogate, or several at once, as a tuple of names."""
    return (item,) if isinstance(item, str) else tuple(item)


def load(source: str | Path = "default", **overrides: Any) -> Spec:
    """The bundled spec or the TOML file `source`, with `overrides` (see `override`).

    Raises:
        PriemoError: no such spec, not TOML, or a key, name or value that is wrong.
    """
    return parse(override(read(source), **overrides), str(source))


def read(source: str | Path) -> dict[str, Any]:
    """The keys and values of a bundled spec or a TOML file; only its tables are checked."""
    path = Path(source)
    try:
        if str(source) in BUNDLED:
            text = (SPECS / f"{source}.toml").read_text("utf-8")
        elif path.is_file():
            text = path.read_text("utf-8")
        elif path.suffix == ".toml" or len(path.parts) > 1:
            raise PriemoError(f"spec {path} does not exist")
        else:
            raise unknown("specs", str(source), BUNDLED)
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PriemoError(f"spec {source} is not TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PriemoError(f"spec {source} cannot be read: {error}") from None
    for key in ("datasets", "attacks"):
        items = values.get(key, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise PriemoError(f"spec {source}, {key} is not tables; begin each with [[{key}]]")
    return values


def parse(values: dict[str, Any], source: str = "spec") -> Spec:
    """Checked values; PriemoError names the first field that is wrong, and the nearest key."""
    try:
        return Spec(**values)
    except ValidationError as error:
        found = first_error(error, Spec, "spec keys")
        complete = error.errors()[0]["type"] in ("extra_forbidden", "value_error")
        raise (found if complete else PriemoError(f"{source}, {found}")) from None


def override(
    values: dict[str, Any],
    dataset: str | None = None,
    data: str | Path | None = None,
    size: int | None = None,
    limit: int | None = None,
    attacks: tuple[str, ...] | None = None,
    surrogates: Surrogates | None = None,
    seeds: tuple[int, ...] | None = None,
    **others: Any,
) -> dict[str, Any]:
    """`values` of a spec with those of the command line; None leaves a value alone.

    `dataset` keeps what the spec says of it and drops the other data sets; `attacks` are labels or,
    where none is that, names, kept as the spec has them; `surrogates` and `seeds` also replace
    those of single attacks, whose own limits stay where they are smaller.
    """
    values = {**values, **{k: v for k, v in others.items() if v is not None}}
    sets = [dict(d) for d in values.get("datasets", [])]
    if dataset is not None:
        sets = [d for d in sets if d.get("name") == dataset] or [{"name": dataset}]
    given = {"data": None if data is None else str(data), "size": size, "limit": limit}
    for item in sets:
        item.update({k: v for k, v in given.items() if v is not None})
    values["datasets"] = sets
    if attacks is not None:
        values["attacks"] = _chosen(values.get("attacks", []), attacks)
    for key, value in {"surrogates": surrogates, "seeds": seeds}.items():
        if value is not None:
            values[key] = value
            values["attacks"] = [
                {k: v for k, v in a.items() if k != key} for a in values.get("attacks", [])
            ]
    return values


def _chosen(entries: list[dict[str, Any]], wanted: tuple[str, ...]) -> list[dict[str, Any]]:
    chosen: list[dict[str, Any]] = []
    labels = {str(e.get("label") or e.get("name")) for e in entries}
    for name in wanted:
        own = [e for e in entries if name == (e.get("label") or e.get("name"))]
        own = own or [e for e in entries if name == e.get("name")]
        if not own and name not in names("attacks"):
            raise unknown("attacks", name, {*labels, *names("attacks")})
        chosen += [e for e in own or [{"name": name}] if e not in chosen]
    return chosen

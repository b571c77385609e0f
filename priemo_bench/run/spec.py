"""The spec of a run: TOML, validated, with overrides of the command line."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from itertools import combinations
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)

from priemo_bench.contracts.attack import EPS_GRID
from priemo_bench.contracts.budgets import KINDS, Bounds, budgets, kind
from priemo_bench.contracts.config import StrictModel, first_error
from priemo_bench.contracts.filter_sets import expanded
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.errors import PriemoError
from priemo_bench.registry import check, is_black_box, unknown
from priemo_bench.run.adopting import adopted
from priemo_bench.run.overrides import override

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
            result = float(above) / float(below if slash else 1)
        except (ValueError, ZeroDivisionError):
            return value  # pydantic says what is wrong
        return result if isfinite(result) else value
    return value


def _is_name(name: str) -> str:
    """`name` itself; PriemoError unless it can be that of a folder."""
    if not name.isprintable() or set(name) & set("/\\"):
        raise PriemoError(f"name is {name!r}; it must have no slash and no control character")
    if not name.strip() or len(name.encode()) > 100 or name.startswith("."):
        raise PriemoError(f"name is {name!r}; it must have 1 to 100 bytes, the first not a dot")
    return name


def _without_none(params: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in params.items() if value is not None}


def _is_plain(value: Any) -> Any:
    """`value` itself; PriemoError unless it holds nothing but what TOML and JSON can hold."""
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list | tuple):
            _is_plain(item)
        elif not isinstance(item, str | int | float):
            raise PriemoError(
                f"an attack's params hold {item!r}; they must be numbers, texts, true, false, or "
                "lists and tables of these"
            )
    return value


Number = Annotated[float, BeforeValidator(number), Field(strict=True, allow_inf_nan=False)]
Bound = Annotated[Number | None, BeforeValidator(number)]
Count = Annotated[int, Field(strict=True, gt=0, lt=2**31)]
Limit = Annotated[Count | None, BeforeValidator(lambda value: None if value == "none" else value)]
Params = Annotated[dict[str, Any], AfterValidator(_without_none), AfterValidator(_is_plain)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**32)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1)]
Grid = Annotated[tuple[Number, ...], Field(min_length=1)]
Side = Annotated[int, Field(strict=True, ge=11, le=4096)]
"""Of images in pixels: SSIM needs a window of 11."""
Together = Annotated[tuple[str, ...], Field(min_length=1)]
Surrogates = tuple[str | Together, ...]
Threat = Literal["white-box", "transfer"]


class DatasetSpec(StrictModel):
    """A data set: its name, the user's copy, side in pixels, and the size of the test sample."""

    name: str
    data: Path | None = None
    size: Side | None = None
    limit: Limit = None


class AttackSpec(StrictModel):
    """An attack and what differs for it from the rest of the spec.

    Attributes:
        name: of the entry point; label: what the tables call it.
        params: constructor arguments; conventional: those of its row at conventional settings,
            over `params`.
        budgets: of its rows, by name or by kind (`contracts.budgets`); None is all that the spec
            has, and conventional settings where they differ.
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
    params: Params = {}
    conventional: Params = {}
    budgets: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = ("none",)
    limit: Limit = None
    fit_limit: Limit = None
    select_limit: Limit = None
    surrogates: Surrogates | None = None
    seeds: Seeds | None = None
    eps_grid: Grid | None = None
    threat: Threat | None = None
    defenses: bool = True
    one_strength: bool = True

    @property
    def title(self) -> str:
        return self.label or self.name

    def has_budget(self, name: str) -> bool:
        """Whether it gets rows under this budget, where the spec has it."""
        return self.budgets is None or name in self.budgets or kind(name) in self.budgets

    @property
    def settings(self) -> dict[str, Any]:
        """What rows of one title must have in common."""
        return self.model_dump(exclude=set(NOT_OF_ROWS))


NOT_OF_ROWS = (
    "label", "budgets", "targets", "surrogates", "seeds", "defenses", "one_strength",
)  # fmt: skip
"""Of an attack: what tells its rows apart, or adds some."""


class Spec(StrictModel):
    """A run: all that decides it but code, data and weights.

    Attributes:
        surrogates: names, or tuples of names for several at once; empty is each victim in turn.
        ssim_floor, eps: the equal-quality budget; None ("none" in TOML) for no bound.
        psnr_floor: in dB, of a second budget with the same cap, for equal energy; None for none.
        floors: further SSIM floors, each a budget of its own, with the cap of
            `contracts.budgets.cap`, and where there is a PSNR floor with one beside it.
        eps_grid: from which an attack with an eps gets it, below the cap, which is always tried.
        threat: threat model of rows with surrogates, which decides their judging victims and how
            their strength is chosen: "white-box" is their surrogates, "transfer" all other
            victims. None is "transfer" where no surrogate is among the victims.
        fit_limit, select_limit: faces of the fit split to fit on, and to choose the strength on;
            None is all.
        defenses: that victims predict under, too; the name of a set of them
            (`contracts.filter_sets`) stands for its filters.
        defended: the victims that do: "all", or only those "judging" a row (`threat`).
        metrics: of quality, beyond `priemo_bench.contracts.metric.MEASURES`.
        draw_seed: of the sample of test faces where there is a limit.
        plugins: references behind names that no entry point has, by kind and name, such as
            {"attacks": {"shift": "mine.py:Shift"}}; a reference in place of a name gets one here.
        versions: of the packages that ran it; for the record, not used.

    Example:
        >>> from priemo_bench.run.spec import load
        >>> spec = load("default", attacks=("noise",), limit=10)
        >>> spec.ssim_floor, [attack.name for attack in spec.attacks], spec.datasets[0].limit
        (0.997, ['noise'], 10)
    """

    name: Annotated[str, AfterValidator(_is_name)] = "custom"
    datasets: tuple[DatasetSpec, ...] = Field(min_length=1)
    victims: tuple[str, ...] = Field(min_length=1)
    surrogates: Surrogates = ()
    defenses: Annotated[tuple[str, ...], AfterValidator(expanded)] = ("none",)
    defended: Literal["all", "judging"] = "all"
    metrics: tuple[str, ...] = ()
    seeds: Seeds = (0,)
    ssim_floor: Bound = 0.997
    eps: Bound = 8 / 255
    psnr_floor: Bound = None
    floors: tuple[Number, ...] = ()
    eps_grid: Grid = EPS_GRID
    threat: Threat | None = None
    fit_limit: Limit = None
    select_limit: Limit = 100
    draw_seed: Seed = 0
    attacks: tuple[AttackSpec, ...] = Field(min_length=1)
    plugins: dict[str, dict[str, str]] = {}
    versions: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _adopted(cls, values: Any) -> Any:
        """`values` with names in place of references, and with the `plugins` behind them."""
        return adopted(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _names_exist(self) -> Spec:
        for what, used in {
            "datasets": [d.name for d in self.datasets],
            "victims": [*self.victims, *_flat(self.surrogates), *self.all_surrogates],
            "defenses": self.defenses,
            "metrics": self.metrics,
            "attacks": [a.name for a in self.attacks],
        }.items():
            for name in used:
                check(what, name)
        for target in (t for a in self.attacks for t in a.targets):
            if target not in (*EMOTIONS, "all", "none"):
                raise unknown("emotions", target, (*EMOTIONS, "all", "none"))
        if len({d.name for d in self.datasets}) < len(self.datasets):
            raise PriemoError("a data set stands twice in the spec; give each once")
        for value in (*self.eps_grid, *(e for a in self.attacks for e in a.eps_grid or ())):
            if not 0 < value <= 1:
                raise PriemoError(f"eps_grid holds {value}; it must be in (0, 1]")
        for seeds in (self.seeds, *(a.seeds or () for a in self.attacks)):
            if len(set(seeds)) < len(seeds):
                raise PriemoError(f"seeds are {list(seeds)}; give each once")
        return self

    @model_validator(mode="after")
    def _budgets_exist(self) -> Spec:
        floors = (self.ssim_floor, *self.floors)
        names = {f"{floor:g}" for floor in floors if floor is not None}
        if self.floors and len(names) < len(floors):
            raise PriemoError(
                f"floors are {list(self.floors)} beside the SSIM floor {self.ssim_floor}; give "
                "each once, and an SSIM floor beside them"
            )
        for floor in self.floors:
            if not 0 < floor < 1:
                raise PriemoError(f"floors hold {floor}; an SSIM floor must be between 0 and 1")
        known = (*KINDS, *self.budgets)
        for attack in self.attacks:
            for name in attack.budgets or ():
                if name not in known and name.startswith("equal-"):
                    raise PriemoError(
                        f"attack {attack.title!r} has rows of {name!r}, and the floors are "
                        f"{self.ssim_floor} and {list(self.floors)}; give its floor too, or other "
                        "attacks"
                    )
                if name not in known:
                    raise unknown("budgets", name, dict.fromkeys(known))
        return self

    @property
    def budgets(self) -> dict[str, Bounds]:
        """What each budget allows, by name: `contracts.budgets.budgets`."""
        return budgets(Bounds(self.ssim_floor, self.psnr_floor, self.eps), self.floors)

    @model_validator(mode="after")
    def _rows_are_distinct(self) -> Spec:
        """PriemoError for two attacks that would make the same rows of different images."""
        for one, other in combinations(self.attacks, 2):
            if one.title != other.title or _text(one.settings) == _text(other.settings):
                continue
            if all(a & b for a, b in zip(self._rows(one), self._rows(other), strict=True)):
                what = " and ".join(_changed(one.settings, other.settings))
                raise PriemoError(
                    f"two attacks are called {one.title!r} and differ in {what}; give each a label"
                )
        return self

    def _rows(self, attack: AttackSpec) -> tuple[set[object], ...]:
        """Budgets, targets, surrogates and seeds of an attack's rows, as far as the spec says."""
        targets = {t for name in attack.targets for t in (EMOTIONS if name == "all" else (name,))}
        groups = {as_tuple(item) for item in self.groups(attack)}
        chosen: set[object] = {name for name in self.budgets if attack.has_budget(name)}
        return chosen, set(targets), set(groups), set(attack.seeds or self.seeds)

    def groups(self, attack: AttackSpec) -> Surrogates:
        """Surrogates of an attack: its own, the spec's, or each victim that is no black box."""
        inside = tuple(name for name in self.victims if not is_black_box(name))
        return attack.surrogates or self.surrogates or inside

    @property
    def all_surrogates(self) -> list[str]:
        """Every surrogate of some attack, once."""
        return list(dict.fromkeys(n for a in self.attacks for n in _flat(self.groups(a))))

    @property
    def outside_surrogates(self) -> list[str]:
        """Surrogates that are no victims: whom else, beside the victims, attacks may look into."""
        return [name for name in self.all_surrogates if name not in self.victims]

    def check(self) -> Spec:
        """The spec itself, after its budget is checked (which imports torch)."""
        from priemo_bench.quality.budget import Budget

        for own in self.budgets.values():
            Budget.of(own.ssim_floor, own.eps, own.psnr_floor)
        return self

    def to_toml(self) -> str:
        """TOML that reads back as this spec."""
        import tomli_w

        values = self.model_dump(exclude_none=True, exclude_defaults=True)
        for item in values["datasets"]:
            item.update({"data": str(item["data"])} if "data" in item else {})
        for bound in ("ssim_floor", "eps", "select_limit"):
            values[bound] = "none" if getattr(self, bound) is None else getattr(self, bound)
        values["attacks"] = values.pop("attacks")  # tables last
        return tomli_w.dumps(values)


def as_tuple(item: str | tuple[str, ...]) -> tuple[str, ...]:
    """One surrogate, or several at once, as a tuple of names."""
    return (item,) if isinstance(item, str) else tuple(item)


def _flat(groups: Surrogates) -> list[str]:
    return [name for item in groups for name in as_tuple(item)]


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
            text = path.read_text("utf-8-sig")
        elif path.suffix == ".toml" or len(path.parts) > 1:
            found = "is a folder" if path.is_dir() else "does not exist"
            raise PriemoError(f"spec {path} {found}")
        else:
            raise unknown("specs", str(source), BUNDLED)
        values = tomllib.loads(text)
    except PriemoError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise PriemoError(f"spec {source} cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:  # also of numbers of thousands of digits
        raise PriemoError(f"spec {source} is not TOML: {error}") from None
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


def default_folder(source: str | Path | None, spec: Spec) -> Path:
    """Where a run of `spec`, loaded from `source`, goes that is given no folder.

    `runs/NAME` where the spec is as it stands in `source`, and `runs/NAME-DIGEST` where something
    differs, so that each combination of overrides has a folder of its own. A spec that has the
    name of a bundled one is compared with that; None is a spec that was made in Python.
    """
    plain = Path("runs") / spec.name
    base = spec.name if spec.name in BUNDLED else source
    if base is None:
        return plain
    own, others = _facts(spec), _facts_of(base)
    differing = {key: own[key] for key in _changed(own, others)}
    digest = sha256(_text(differing).encode()).hexdigest()[:8]
    return plain.with_name(f"{plain.name}-{digest}") if differing else plain


def _facts_of(source: str | Path) -> dict[str, Any]:
    try:
        return _facts(load(source))
    except PriemoError:  # of a file that overrides complete
        return {}


def same_run(a: Spec, b: Spec) -> bool:
    """Whether two specs ask for the same rows, whatever their names and recorded versions.

    The order of attacks, data sets, victims, defenses and the like is no difference; that of seeds
    is (the first chooses strengths), and so is that of surrogates attacked together. Data are told
    apart by the name of their file or folder (and by their content, when a run looks into it).
    """
    return _text(_facts(a)) == _text(_facts(b))


def differences(a: Spec, b: Spec) -> str:
    """What differs between two specs, such as "victims, limit of rendered"; "" for the same run."""
    one, other = _facts(a), _facts(b)
    return ", ".join(phrase for key in one for phrase in _phrases(key, one[key], other[key]))


def _phrases(key: str, a: Any, b: Any) -> list[str]:
    if key in TABLES and a.keys() == b.keys():
        inner = [f"{field} of {name}" for name in a for field in _changed(a[name], b[name])]
        if len(inner) <= 2:
            return inner
    return [key] if _text(a) != _text(b) else []


def _changed(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Keys that hold different values, or that only one has."""
    return [key for key in dict.fromkeys([*a, *b]) if _text(a.get(key)) != _text(b.get(key))]


TABLES = ("datasets", "attacks")
UNORDERED = (
    "victims", "surrogates", "defenses", "metrics", "eps_grid", "budgets", "targets", "floors",
)  # fmt: skip


def _facts(spec: Spec) -> dict[str, Any]:
    """All of a spec that decides its rows, by key; tables by their names, without their order."""
    values = spec.model_dump(exclude={"name", "versions", *TABLES})
    sets = {
        item.name: _ordered(item.model_dump()) | {"data": item.data and item.data.name}
        for item in spec.datasets
    }
    attacks: dict[str, Any] = {}
    for attack in spec.attacks:
        attacks.setdefault(attack.title, []).append(_ordered(attack.model_dump(exclude={"label"})))
    for title, entries in attacks.items():
        alike = sorted(entries, key=_text)
        attacks[title] = alike[0] if len(alike) == 1 else {"entries": alike}
    return {**_ordered(values), "datasets": sets, "attacks": attacks}


def _ordered(values: dict[str, Any]) -> dict[str, Any]:
    """`values` with those whose order decides nothing in alphabetical order."""
    free = {key for key in UNORDERED if isinstance(values.get(key), tuple)}
    return {k: sorted(set(map(_text, v))) if k in free else v for k, v in values.items()}


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)

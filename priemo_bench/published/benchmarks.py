"""Benchmarks by name and version: what every entry of one has in common, in one file each."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from priemo_bench.contracts.budgets import CONVENTIONAL, Bounds
from priemo_bench.contracts.config import StrictModel, first_error
from priemo_bench.contracts.draws import without_draw
from priemo_bench.errors import PriemoError
from priemo_bench.registry import unknown

if TYPE_CHECKING:
    from priemo_bench.contracts.rows import Rows

FOLDER = files("priemo_bench.published") / "benchmarks"
JUDGING = 1
"""Version of how rates, intervals and ranks follow from readings (`priemo_bench.judge`)."""


def _fraction(value: object) -> object:
    """ "8/255" as a float; anything else is left to pydantic."""
    above, slash, below = value.partition("/") if isinstance(value, str) else ("", "", "")
    return int(above) / int(below) if slash and above.isdigit() and below.isdigit() else value


Cap = Annotated[float, BeforeValidator(_fraction), Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Draw(StrictModel):
    """The pictures: `limit` of the test split of data set `name`, drawn with `draw_seed`.

    Attributes:
        pictures: digest over the pixels of all of them (`pictures_digest`).
        shape: channels, height, width.
    """

    name: str
    limit: Annotated[int, Field(gt=0)]
    draw_seed: int = 0
    shape: tuple[int, int, int]
    pictures: Sha256


class Allowed(StrictModel):
    """What a budget allows; None is no bound."""

    ssim_floor: float | None = None
    psnr_floor: float | None = None
    eps: Cap | None = None


class Definition(StrictModel):
    """A benchmark: what all of its entries have in common.

    Attributes:
        name: with its version, which is a new one when anything here changes.
        title: in a few words. run: arguments of `priemo-bench` whose runs are of it.
        page: folder of `reports/` with this project's own entries.
        judging: JUDGING at its time.
        data: the pictures. victims: name to SHA-256 of the weights; all of them judge every entry.
        budgets: by name. defenses: under which an entry may be judged, too.
    """

    name: Annotated[str, Field(pattern="^priemo-bench-[a-z0-9]+-v[0-9]+$")]
    title: str
    run: tuple[str, ...]
    page: str
    judging: int
    data: Draw
    budgets: dict[str, Allowed]
    defenses: tuple[str, ...]
    victims: dict[str, Sha256]

    def bounds(self) -> dict[str, Bounds]:
        """What each budget allows, by name."""
        return {name: Bounds(**own.model_dump()) for name, own in self.budgets.items()}

    def departures(self, rows: Rows, further: bool = False) -> list[str]:
        """What of a run is not as this benchmark has it, a part of a sentence each; [] is nothing.

        Args:
            further: victims and defenses that the benchmark lacks are allowed, as in an
                evaluation of somebody else's entry.
        """
        facts = rows.facts
        found = self._data_departures(facts.get("data") or {})
        for name, bounds in rows.budgets.items():
            own = self.bounds().get(name)
            if own is None and name != CONVENTIONAL and (rows.frame["budget"] == name).any():
                found.append(f"it has the budget {name}, which the benchmark has not")
            elif own is not None and not _same(own, bounds):
                found.append(f"its budget {name} allows {_words(bounds)}, not {_words(own)}")
        given: dict[str, Any] = facts.get("victims") or {}
        digests = {name: (own or {}).get("sha256") for name, own in given.items()}
        both = self.victims.keys() & given.keys()
        others = [name for name in both if digests[name] != self.victims[name]]
        found += _listed("other weights of", "victim", others)
        if not further:
            missing = [name for name in self.victims if name not in given]
            found += _listed("no", "victim", missing)
            found += _listed("a foreign", "victim", given.keys() - self.victims.keys())
            used = {without_draw(str(name)) for name in rows.frame["defense"].unique()}
            found += _listed("a foreign", "defense", used - {*self.defenses})
        return found

    def _data_departures(self, data: Mapping[str, Any]) -> list[str]:
        if set(data) != {self.data.name}:
            return [f"its data are {' and '.join(data) or 'unknown'}, not {self.data.name}"]
        own = data[self.data.name]
        if not own.get("pictures"):
            return ["it is of a version that did not write down what its pictures are"]
        if pictures_digest(own["pictures"]) != self.data.pictures:
            n = len(own["pictures"])
            return [f"its {n} pictures are not the {self.data.limit} of the benchmark"]
        return []


def pictures_digest(pictures: Mapping[str, str]) -> str:
    """SHA-256 over the ids of pictures and the digests of their pixels, whatever their order.

    Args:
        pictures: id to the digest of its pixels, as `results.parquet` has them.

    Example:
        >>> pictures_digest({"a": "0f", "b": "1e"}) == pictures_digest({"b": "1e", "a": "0f"})
        True
    """
    lines = "".join(f"{name}\t{digest}\n" for name, digest in sorted(pictures.items()))
    return sha256(lines.encode()).hexdigest()


def names() -> list[str]:
    """Names of the benchmarks there are, sorted."""
    return sorted(f.name[:-5] for f in FOLDER.iterdir() if f.name.endswith(".toml"))


def benchmark(name: str) -> Definition:
    """A benchmark by its name.

    Raises:
        PriemoError: no such name, or a file that is damaged.

    Example:
        >>> benchmark("priemo-bench-rendered-v1").data.limit
        105
    """
    if name not in names():
        raise unknown("benchmarks", name, names())
    try:
        found = Definition(**tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise PriemoError(f"benchmark {name} is not TOML: {error}") from None
    except ValidationError as error:
        raise PriemoError(f"benchmark {name}, {first_error(error, Definition)}") from None
    if found.name != name:
        raise PriemoError(f"benchmark {name} calls itself {found.name}")
    return found


def of_run(rows: Rows, further: bool = False) -> Definition:
    """The benchmark that a run is of.

    Raises:
        PriemoError: it is of none; the sentence says what departs from the nearest.
    """
    found = [benchmark(name) for name in names()]
    departures = {own.name: own.departures(rows, further) for own in found}
    for own in found:
        if not departures[own.name]:
            return own
    sets = set(rows.facts.get("data") or {})
    near = [own for own in found if own.data.name in sets] or found
    nearest = min(near, key=lambda own: len(departures[own.name]))
    command = " ".join(["priemo-bench", *nearest.run])
    raise PriemoError(
        f"{rows.source} is no run of {nearest.name}: {'; '.join(departures[nearest.name])}; "
        f"`{command} --attacks ...` makes one"
    )


def _listed(what: str, kind: str, names: Iterable[str]) -> list[str]:
    """ "it has no victim a, b": a part of a sentence, or none where there is no name."""
    found = sorted(names)
    rest = f" and {len(found) - 4} more" if len(found) > 5 else ""
    shown = found[:4] if rest else found
    return [f"it has {what} {kind} {', '.join(shown)}{rest}"] if found else []


def _same(a: Bounds, b: Bounds) -> bool:
    """Whether two budgets allow the same, to the digits that a file has."""
    return all(
        x == y if x is None or y is None else abs(x - y) < 1e-9 for x, y in zip(a, b, strict=True)
    )


def _words(bounds: Bounds) -> str:
    ssim, psnr, eps = bounds
    parts = [
        f"SSIM {ssim:g}" if ssim is not None else "",
        f"PSNR {psnr:g} dB" if psnr is not None else "",
        f"{255 * eps:.3g} grey levels" if eps is not None else "",
    ]
    return " and ".join(filter(None, parts)) or "everything"

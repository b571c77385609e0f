"""The tables of README.md, docs/results.md and docs/defenses.md, from the published pages.

python docs/tables.py            # prints them
python docs/tables.py --write    # writes each between its two marks

<!-- TABLE defenses: begin, by docs/tables.py -->
<!-- TABLE defenses: end -->
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from priemo_bench import Results, load_results
from priemo_bench.judge.leaderboard import Tables

ROOT = Path(__file__).parents[1]
FILES = (ROOT / "README.md", ROOT / "docs" / "results.md", ROOT / "docs" / "defenses.md")
MARKS = re.compile(
    r"(<!-- TABLE (?P<name>[a-z0-9-]+): begin, by docs/tables.py -->\n).*?"
    r"(<!-- TABLE (?P=name): end -->)",
    re.DOTALL,
)
PER_IMAGE = "Pri-EMO, one perturbation per image"
CLASS, SHARED = "Pri-EMO, one for each emotion", "Pri-EMO, one for all"
SURVIVE, EXPECTS = "`priemo-survive`: Pri-EMO that expects the filters", "expecting four filters"


@dataclass(frozen=True)
class Table:
    """A row a method.

    Attributes:
        page: of reports/. columns: heading to the budget and the rate that it shows ("protection",
            "transfer", "survival", or "worst", the worst filter).
        methods: by their names there, as the table calls them; None is all, the best first.
        corner: the heading of their column.
    """

    page: str
    columns: Mapping[str, tuple[str, str]]
    methods: Mapping[str, str] | None = None
    corner: str = "%"

    def __str__(self) -> str:
        methods = load_results(self.page)
        methods = methods[~methods["targeted"] & (methods["scale"] != "one")]
        cells = methods.set_index(["attack", "budget"])
        budget, rate = next(iter(self.columns.values()))
        first = methods[methods["budget"] == budget].sort_values(f"{rate}_rate", ascending=False)
        shown = self.methods or {name: f"`{name}`" for name in first["attack"]}
        return _drawn(self.corner, self.columns, {
            name: [
                _found(cells, (attack, own), kind) for own, kind in self.columns.values()
            ]
            for attack, name in shown.items()
        })  # fmt: skip


@dataclass(frozen=True)
class AdversaryTable:
    """A row an attack: what each adversary leaves of its protection on one victim.

    Attributes:
        attacks: by name and SSIM floor, what the table calls them.
        columns: heading to the adversary, what he is given begins with, and what is shown:
            "protection" before, what is left "after", or "hidden" from a detector.
    """

    attacks: Mapping[tuple[str, float], str]
    columns: Mapping[str, tuple[str, str, str]]
    victim: str = "resnet"

    def __str__(self) -> str:
        table = pd.read_csv(ROOT / "reports" / "adversaries" / "adversaries.csv")
        table = table[table["victim"] == self.victim]
        rows = {}
        for (attack, floor), name in self.attacks.items():
            own = table[(table["attack"] == attack) & (table["ssim_floor"] == floor)]
            rows[name] = [_left(own, *column) for column in self.columns.values()]
        return _drawn("%", self.columns, rows)


def _left(table: pd.DataFrame, adversary: str, given: str, kind: str) -> str:
    is_asked = (table["adversary"] == adversary) & table["given"].fillna("").str.startswith(given)
    found = [dict(line) for _, line in table[is_asked].iterrows()]
    if not found:
        return ""
    middle = "protection_after" if kind == "after" else kind
    return _interval(*(found[0][n] for n in (middle, f"{kind}_low", f"{kind}_high")))


@dataclass(frozen=True)
class FilterTable:
    """A row an attack: what each defense leaves of it on the victims that judge it.

    Attributes:
        page: of reports/. attacks: by their names there, as the table calls them.
        columns: heading to the budget and the defense.
    """

    page: str
    attacks: Mapping[str, str]
    columns: Mapping[str, tuple[str, str]]

    def __str__(self) -> str:
        lines = load_results(self.page, "defenses").set_index(["attack", "budget", "defense"])
        names = [f"protection_{end}" for end in ("rate", "low", "high")]
        return _drawn("%", self.columns, {
            name: [_interval(*lines.loc[(attack, *own), names]) for own in self.columns.values()]
            for attack, name in self.attacks.items()
        })  # fmt: skip


@dataclass(frozen=True)
class EnsembleTable:
    """A row an ensemble: what its surrogates lose, all at once, and what `unseen` victims lose."""

    page: str
    attacks: Mapping[str, str]
    budgets: Mapping[str, str]
    unseen: tuple[str, ...]

    def __str__(self) -> str:
        results = Results(ROOT / "reports" / self.page)
        rates, together = results.tables.rates, results.together().set_index(["attack", "budget"])
        kinds = ("surrogates", "all of them at once", "three unseen")
        rows: dict[str, list[str]] = {name: [] for name in self.attacks.values()}
        for budget in self.budgets:
            for row, names in enumerate(results.tables.predictions.names):
                if names["budget"] != budget or names["attack"] not in self.attacks:
                    continue
                own = rates.judged([row])
                seen = (own.value, *own.interval)
                at_once, key = seen, (names["attack"], budget)
                if key in together.index:
                    ends = [f"together{end}" for end in ("", "_low", "_high")]
                    at_once = tuple(together.loc[key, ends])
                new = rates.estimate({(row, victim): 1.0 for victim in self.unseen})
                rows[self.attacks[names["attack"]]] += [
                    _interval(*seen), _interval(*at_once), _interval(new.value, *new.interval),
                ]  # fmt: skip
        headings = [f"{kind}, {name}" for name in self.budgets.values() for kind in kinds]
        return _drawn("%", headings, rows)


@dataclass(frozen=True)
class PassesTable:
    """A row a method: its transfer after so many passes through each surrogate.

    Attributes:
        page: of reports/, whose attacks are called "METHOD, PASSES". methods: what the table calls
            each. columns: heading to the budget and the passes.
    """

    page: str
    methods: Mapping[str, str]
    columns: Mapping[str, tuple[str, int]]

    def __str__(self) -> str:
        cells = load_results(self.page).set_index(["attack", "budget"])
        return _drawn("%", self.columns, {
            name: [
                _found(cells, (f"{method}, {passes}", budget), "transfer")
                for budget, passes in self.columns.values()
            ]
            for method, name in self.methods.items()
        })  # fmt: skip


@dataclass(frozen=True)
class LeftOutTable:
    """A row a group of victims: what they lose where they are left out, and where they are not.

    Attributes:
        page: of reports/. groups: the victims whose mean is a row, by what the table calls it.
        columns: heading to the attack, the budget, and whether it looks into the victims.
    """

    page: str
    groups: Mapping[str, tuple[str, ...]]
    columns: Mapping[str, tuple[str, str, bool]]

    def __str__(self) -> str:
        tables = Results(ROOT / "reports" / self.page).tables
        return _drawn("%", self.columns, {
            group: [_judged(tables, *column, victims) for column in self.columns.values()]
            for group, victims in self.groups.items()
        })  # fmt: skip


@dataclass(frozen=True)
class RivalsTable:
    """A row an attack: what groups of victims lose on the mean, each victim left out.

    Attributes:
        page: of reports/. attacks: by their names there, as the table calls them.
        columns: heading to the budget and the victims.
    """

    page: str
    attacks: Mapping[str, str]
    columns: Mapping[str, tuple[str, tuple[str, ...]]]

    def __str__(self) -> str:
        tables = Results(ROOT / "reports" / self.page).tables
        return _drawn("%", self.columns, {
            name: [
                _judged(tables, attack, budget, False, victims)
                for budget, victims in self.columns.values()
            ]
            for attack, name in self.attacks.items()
        })  # fmt: skip


def _judged(tables: Tables, attack: str, budget: str, looks: bool, victims: tuple[str, ...]) -> str:
    """The mean over victims of what each loses; nothing unless it is known of all.

    Each is judged by the largest set of surrogates with it (`looks`), or without it.
    """
    sets = {
        row: [] if names["surrogate"] == "-" else names["surrogate"].split("+")
        for row, names in enumerate(tables.predictions.names)
        if (names["attack"], names["budget"]) == (attack, budget)
    }
    largest = {victim: _largest(sets, victim, looks) for victim in victims}
    judging = {(row, victim): 1.0 for victim, row in largest.items() if row is not None}
    if len(judging) < len(victims):
        return ""
    found = tables.rates.estimate(judging)
    return _interval(found.value, *found.interval)


def _largest(sets: Mapping[int, list[str]], victim: str, looks: bool) -> int | None:
    """The row with the most surrogates, of which `victim` is one or none."""
    rows = [row for row, names in sets.items() if (victim in names) == looks]
    return max(rows, key=lambda row: len(sets[row]), default=None)


def _drawn(corner: str, headings: Iterable[str], rows: Mapping[str, list[str]]) -> str:
    """Markdown of rows of cells, by what they are called."""
    head = [corner, *headings]
    lines = [head, ["---"] * len(head), *([name, *cells] for name, cells in rows.items())]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _interval(rate: float, low: float, high: float) -> str:
    return f"{100 * rate:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _found(cells: pd.DataFrame, key: tuple[str, str], kind: str) -> str:
    """The cell of an attack and a budget; nothing where there is none."""
    return _cell(cells.loc[key], kind) if key in cells.index else ""


def _cell(line: pd.Series, kind: str) -> str:
    if kind in METRICS:
        return METRICS[kind].format(line[kind])
    if kind == "worst":
        return f"{100 * line['worst_defense']:.1f} ({line['worst_filter']})"
    middle = "survival" if kind == "survival" else f"{kind}_rate"
    if pd.isna(line[middle]):
        return ""
    return _interval(*(line[name] for name in (middle, f"{kind}_low", f"{kind}_high")))


METRICS = {
    "backwards_per_image": "{:.0f}",
    "lpips": "{:.4f}",
    "face_found": "{:.0%}",
    "same_person": "{:.0%}",
}
FLOORS = {
    "SSIM 0.997, 8/255": ("equal", "protection"),
    "0.98, 16/255": ("equal-0.98", "protection"),
    "0.95, 32/255": ("equal-0.95", "protection"),
}
FILTERED = {
    "no filter": ("equal", "protection"),
    "survival": ("equal", "survival"),
    "worst single filter": ("equal", "worst"),
}
AMONG = ("resnet", "vgg", "repvgg", "botnet")
APART = ("effnet-lite", "repvgg-twin", "repvgg-robust", "pvt", "convnext")
OWN = ("admix", "sia", "gra", "ops", "svre", "ssa-cwa", "smer", "pgn", "bsr", "cwa")
PUBLIC = ("networkv2", "face-api", "fer")
AVERAGED, KNOWN = ("average, plain", "100 "), ("average, plain, labels known", "100 ")
TABLES: dict[str, object] = {
    "adversaries": AdversaryTable(
        {
            ("priemo-class", 0.95): "one for each emotion, SSIM 0.95",
            ("priemo-pool", 0.95): "a keyed pool of four, 0.95",
            ("priemo-universal", 0.95): "one for all, 0.95",
            ("priemo-image", 0.997): "per image, 15 steps, 0.997",
        },
        {
            "nobody knows": ("none", "", "protection"),
            "average of 100 published images": (*AVERAGED, "after"),
            "the same, emotions known": (*KNOWN, "after"),
            "what was fitted leaked, the key not": ("leak", "", "after"),
            "purifier from 1,000 leaked pairs": ("purifier", "1000 pairs of the same", "after"),
            "hidden from a detector of 200 pairs": ("detector, learned", "", "hidden"),
        },
    ),
    "pool": AdversaryTable(
        {("priemo-class", 0.95): "`priemo-class`", ("priemo-pool", 0.95): "`priemo-pool`"},
        {
            "before": ("none", "", "protection"),
            "averaged, emotions not known": (*AVERAGED, "after"),
            "known": (*KNOWN, "after"),
            "what was fitted leaked, not the key": ("leak", "", "after"),
        },
    ),
    "protection": Table(
        "fer2013",
        {
            **FLOORS,
            "transfer, 0.98": ("equal-0.98", "transfer"),
            "survival, 0.98": ("equal-0.98", "survival"),
        },
        {
            "priemo-image": PER_IMAGE, "pgd": "PGD, 25 steps", "fgsm": "FGSM",
            "priemo-class": CLASS, "priemo-universal": SHARED, "sga": "SGA, one for all",
            "uap": "UAP, one for all", "noise": "random noise",
        },
        "% protected at",
    ),
    "fer2013": Table(
        "fer2013",
        {
            "SSIM 0.997": ("equal", "protection"),
            "transfer": ("equal", "transfer"),
            "survival": ("equal", "survival"),
            "PSNR 42 dB": ("equal-psnr", "protection"),
            "its transfer": ("equal-psnr", "transfer"),
        },
        {
            "priemo-image": PER_IMAGE, "ddn": "DDN", "pgd": "PGD, 25 steps", "fgsm": "FGSM",
            "priemo-class": CLASS, "priemo-universal": SHARED, "sga": "SGA, one for all",
            "uap": "UAP, one for all", "noise": "random noise",
        },
    ),
    "unseen": Table(
        "unseen",
        {
            "SSIM 0.997, 8/255": ("equal", "transfer"),
            "0.98, 16/255": ("equal-0.98", "transfer"),
            "PSNR 42 dB, 8/255": ("equal-psnr", "transfer"),
            "33.8 dB, 16/255": ("equal-psnr-33.8", "transfer"),
        },
    ),
    "defenses": Table(
        "defenses",
        FILTERED,
        {
            "priemo-survive": SURVIVE, "priemo-image": f"{PER_IMAGE}, 25 steps",
            "pgd, set-1": "PGD-50 on the mean logits over the filters", "pgd": "PGD-25",
            "noise": "random noise",
        },
    ),
    "transfer-filters": Table(
        "transfer-filters",
        FILTERED,
        {
            "priemo-transfer, filters": f"`priemo-transfer`, {EXPECTS}",
            "priemo-transfer": "`priemo-transfer`", "noise": "random noise",
        },
    ),
    "default": Table(
        "default",
        {**FLOORS, "unseen, 0.98": ("equal-0.98", "transfer")},
        {
            "priemo-image": f"{PER_IMAGE}, at one classifier",
            "priemo-transfer": "the same, at three", "pgd": "PGD, 25 steps",
            "priemo-class": CLASS, "priemo-universal": SHARED, "sga": "SGA, one for all",
        },
    ),
    "ensemble": EnsembleTable(
        "ensemble",
        {
            "k = 1": "1: `resnet`", "k = 2": "2: and `vgg`", "k = 3": "3: and `repvgg`",
            "k = 5": "5: and `botnet`, `pvt`", "k = 9": "9: the zoo",
            "k = 12": "12: and the three trained inside 1/255",
            "k = 1, robust": "1: `resnet-robust-1`",
            "k = 3, robust": "3: those trained inside 1/255",
            "k = 3, diffusion": "3: `resnet`, `vgg`, `repvgg`, also behind `diffusion-25`",
            "k = 1, plain": "1: `vgg-plain`",
            "k = 3, plain": "3: `resnet`, `vgg-plain`, `densenet-plain`",
            "k = 5, plain": "5: those trained on faces as they are",
            "k = 9, plain": "9: these and `resnet`, `vgg`, `repvgg`, `botnet`",
            "k = 3, bound": "the bound: the three unseen themselves",
        },
        {"equal": "0.997", "equal-0.98": "0.98"},
        PUBLIC,
    ),
    "transfer": LeftOutTable(
        "transfer",
        {
            **{f"`{name}`": (name,) for name in (*AMONG, *APART, *PUBLIC)},
            "mean of the first four": AMONG,
            "of the nine embedded": (*AMONG, *APART),
            "of these without `repvgg-robust`": (
                *AMONG, *(name for name in APART if name != "repvgg-robust"),
            ),
            "of the three public": PUBLIC,
        },
        {
            "left out, 0.997": ("priemo-transfer", "equal", False),
            "looked into, 0.997": ("priemo-transfer", "equal", True),
            "left out, 0.98": ("priemo-transfer", "equal-0.98", False),
            "looked into, 0.98": ("priemo-transfer", "equal-0.98", True),
        },
    ),
    "rivals": RivalsTable(
        "transfer",
        {
            name: f"`{name}`"
            for name in ("priemo-transfer", "mef", "admix", "gra", "difgsm", "pgd", "sia", "noise")
        },
        {
            f"{heading}, {floor}": (budget, victims)
            for budget, floor in (("equal", "0.997"), ("equal-0.98", "0.98"))
            for heading, victims in (
                ("nine embedded", (*AMONG, *APART)), ("three public", PUBLIC),
            )
        },
    ),
    "generator": Table(
        "generator",
        {
            "SSIM 0.997, 8/255": ("equal", "protection"),
            "unseen": ("equal", "transfer"),
            "0.98, 16/255": ("equal-0.98", "protection"),
            "its unseen": ("equal-0.98", "transfer"),
        },
    ),
    "passes": PassesTable(
        "passes",
        {
            "priemo": "`priemo-transfer`", "admix": "`admix`", "mef": "`mef`", "gra": "`gra`",
            "difgsm": "`difgsm`",
        },
        {
            f"{heading}, {passes}": (budget, passes)
            for budget, heading in (("equal", "SSIM 0.997"), ("equal-0.98", "0.98"))
            for passes in (25, 100, 400)
        },
    ),
    "own": Table(
        "passes",
        {
            "SSIM 0.997, 8/255": ("equal", "transfer"),
            "0.98, 16/255": ("equal-0.98", "transfer"),
            "gradients": ("equal", "backwards_per_image"),
        },
        {
            "priemo, 25": "`priemo-transfer`, 25 steps", "mef, 400": "`mef`",
            **{f"{name}, own": f"`{name}`" for name in OWN},
        },
    ),
    "purifiers": FilterTable(
        "purifiers",
        {
            "priemo-image": PER_IMAGE, "priemo-survive, denoiser": "Pri-EMO through `denoiser`",
            "priemo-survive, diffusion-25": "Pri-EMO through `diffusion-25`",
            "priemo-survive, diffusion-50": "Pri-EMO through `diffusion-50`",
            "pgd": "PGD, 25 steps", "pgd, diffusion-25": "PGD through `diffusion-25`",
            "noise": "random noise",
        },
        {
            f"{heading}{floor}": (budget, defense)
            for budget, floor in (("equal", ""), ("equal-0.98", ", 0.98"))
            for heading, defense in (
                ("nothing", "none"), ("`denoiser`", "denoiser"),
                ("`diffusion-25`", "diffusion-25"), ("`diffusion-50`", "diffusion-50"),
            )
        },
    ),
    "usability": Table(
        "usability",
        {
            "protected, equal quality": ("equal", "protection"),
            "face found": ("equal", "face_found"),
            "same person": ("equal", "same_person"),
            "LPIPS": ("equal", "lpips"),
            "protected, usual": ("conventional", "protection"),
            "face found, usual": ("conventional", "face_found"),
            "same person, usual": ("conventional", "same_person"),
        },
        {
            "priemo-image": PER_IMAGE, "ddn": "DDN", "fawkes": "Fawkes", "tip-im": "TIP-IM",
            "pgd": "PGD, 25 steps", "aes-ctr": "AES-CTR (not bound by a floor)",
            "cat-map": "cat map (the same)", "etc": "EtC (the same)", "pixelate": "pixelation",
            "occlude": "occlusion", "blur": "blur",
        },
    ),
}  # fmt: skip


def written(text: str) -> str:
    """A page with the tables of today between their marks."""
    return MARKS.sub(lambda marks: f"{marks[1]}{TABLES[marks['name']]}\n{marks[3]}", text)


if __name__ == "__main__":
    if "--write" in sys.argv:
        for file in FILES:
            file.write_text(written(file.read_text("utf-8")), "utf-8")
    else:
        for name, table in TABLES.items():
            print(f"{name}\n{table}\n")

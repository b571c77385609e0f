"""Data sets, victims, defenses and clean predictions of a run, each loaded once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import nn

from priemo_bench import registry
from priemo_bench.contracts.dataset import FaceSet, Split
from priemo_bench.contracts.defense import Defense
from priemo_bench.contracts.image import Labels, to_float
from priemo_bench.contracts.predict import Probabilities, probabilities
from priemo_bench.contracts.victim import Ensemble, as_art, freeze
from priemo_bench.data.sampling import sample
from priemo_bench.errors import PriemoError
from priemo_bench.run.plan import Cell
from priemo_bench.run.spec import Spec

PROBES = 16
"""Faces on which a gradient is looked at."""


def weights_fingerprint(victim: nn.Module) -> str:
    """SHA-256 over the state dict, and over `identity` where a victim has more that decides."""
    digest = sha256(type(victim).__qualname__.encode())
    digest.update(str(getattr(victim, "identity", "")).encode())
    for name, value in sorted(victim.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def defense_fingerprint(defense: Defense, name: str) -> str:
    """The defense's own words for its settings, or its name where these tell an address."""
    words = repr(defense)
    return sha256((name if " at 0x" in words else words).encode()).hexdigest()[:12]


@dataclass
class RunContext:
    """The data sets, victims and defenses of a spec.

    Attributes:
        device: where victims predict.
        strengths: what was chosen for cells that share it (`plan.chosen_as`).
        last: the attack that was fitted last, for its row at one strength.
    """

    spec: Spec
    device: str = "cpu"
    strengths: dict[Cell, float] = field(default_factory=dict, repr=False)
    last: tuple[Cell, Any, Any] | None = field(default=None, repr=False)
    _faces: dict[tuple[Any, ...], FaceSet] = field(default_factory=dict, repr=False)
    _scores: dict[tuple[Any, ...], Probabilities] = field(default_factory=dict, repr=False)
    _blind: dict[tuple[Any, ...], bool] = field(default_factory=dict, repr=False)

    @cached_property
    def victims(self) -> dict[str, nn.Module]:
        """Every victim and surrogate, frozen, by name."""
        wanted = dict.fromkeys([*self.spec.victims, *self.spec.all_surrogates])
        return {name: self._victim(name) for name in wanted}

    def _victim(self, name: str) -> nn.Module:
        try:
            victim: nn.Module = registry.get("victims", name)()
            return freeze(victim.to(self.device))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise PriemoError(f"victim {name!r} cannot be loaded: {reason}") from error

    @cached_property
    def defenses(self) -> dict[str, Defense]:
        """By name; "none" always comes first."""
        wanted = dict.fromkeys(["none", *self.spec.defenses])
        return {name: registry.get("defenses", name) for name in wanted}

    def check_metrics(self) -> None:
        """PriemoError when a metric of the spec wants weights that are not there."""
        for name in self.spec.metrics:
            check = getattr(registry.get("metrics", name), "check", None)
            if check is not None:
                check()

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Of whole splits and of weights, by "test NAME", "fit NAME" and "victim NAME"."""
        found = {f"victim {n}": weights_fingerprint(v) for n, v in self.victims.items()}
        for dataset in self.spec.datasets:
            for split in ("fit", "test"):
                found[f"{split} {dataset.name}"] = self.split(dataset.name, split).fingerprint
        return found

    def split(self, dataset: str, split: Split) -> FaceSet:
        """A whole split."""
        key = (dataset, split)
        if key not in self._faces:
            wanted = next(d for d in self.spec.datasets if d.name == dataset)
            source = registry.get("datasets", dataset)(wanted.data, wanted.size)
            self._faces |= {(dataset, part): source.split(part) for part in ("fit", "test")}
        return self._faces[key]

    def faces(self, dataset: str, split: Split, limit: int | None, seed: int) -> FaceSet:
        """`limit` faces of a split, drawn once."""
        key = (dataset, split, limit, seed)
        if key not in self._faces:
            self._faces[key] = sample(self.split(dataset, split), limit, seed)
        return self._faces[key]

    def test_faces(self, cell: Cell) -> FaceSet:
        """The faces a cell protects."""
        return self.faces(cell.dataset, "test", cell.limit, cell.draw_seed)

    def classifiers(self, attack: str, surrogates: Iterable[str], dataset: str) -> list[Any]:
        """ART classifiers of surrogates for an attack: one of all, where it looks into one."""
        _, channels, height, _ = self.split(dataset, "fit").images.shape
        victims = [self.victims[name] for name in surrogates]
        if len(victims) > 1 and registry.get("attacks", attack).traits.surrogates == "one":
            victims = [Ensemble(victims)]
        return [as_art(victim, channels, height) for victim in victims]

    def labels(
        self, cell: Cell, faces: FaceSet, surrogates: tuple[str, ...] | None = None
    ) -> Labels | None:
        """What an attack is told: its target, or what its surrogates predict; never the truth.

        Args:
            surrogates: those that the attack looks into, where not all of the cell's.
        """
        names = cell.surrogates if surrogates is None else surrogates
        if not names:
            return None
        if cell.target >= 0:
            return np.full(len(faces), cell.target, np.int64)
        return self.reading(names, faces)

    def reading(self, names: Iterable[str], faces: FaceSet) -> Labels:
        """(n,) emotion of highest mean probability over the named victims, on clean faces."""
        return self.probabilities(names, faces).argmax(1)

    def probabilities(self, names: Iterable[str], faces: FaceSet) -> Probabilities:
        """(n, 7) mean probabilities of the named victims on clean faces."""
        found = []
        for name in names:
            key = (name, faces.name, faces.split, faces.ids.tobytes())
            if key not in self._scores:
                self._scores[key] = probabilities(self.victims[name], to_float(faces.images))
            found.append(self._scores[key])
        mean: Probabilities = np.mean(found, 0)
        return mean

    def gradient_vanishes(self, name: str, faces: FaceSet) -> bool:
        """Whether a victim's cross-entropy has no gradient at most of some faces."""
        key = (name, faces.name, faces.images.shape)
        if key not in self._blind:
            x = torch.from_numpy(to_float(faces.images[:PROBES])).to(self.device)
            logits = self.victims[name](x.requires_grad_())
            loss = torch.nn.functional.cross_entropy(logits, logits.argmin(1), reduction="sum")
            (gradient,) = torch.autograd.grad(loss, x)
            still = gradient.flatten(1).abs().amax(1) == 0
            self._blind[key] = bool(still.float().mean() > 0.5)
        return self._blind[key]

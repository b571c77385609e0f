"""Data sets, victims, defenses, metrics and clean predictions of a run, each loaded once.

A plug-in that fails is left out, with its reason, and costs what needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from priemo_bench import registry
from priemo_bench.contracts.dataset import FaceSet, Split
from priemo_bench.contracts.defense import Defense
from priemo_bench.contracts.draws import all_draws
from priemo_bench.contracts.image import EMOTIONS, ByteImages, FloatImages, Labels, to_float
from priemo_bench.contracts.metric import MEASURES, Metric
from priemo_bench.contracts.predict import Probabilities, probabilities
from priemo_bench.contracts.victim import Ensemble, as_art, freeze
from priemo_bench.data.sampling import sample
from priemo_bench.errors import PriemoError
from priemo_bench.run.faults import plugin_errors
from priemo_bench.run.plan import Cell
from priemo_bench.run.spec import Spec

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

PROBES = 16
"""Faces on which a gradient is checked."""


def weights_fingerprint(victim: nn.Module) -> str:
    """SHA-256 of class name, `victim.identity`, input size and channels, parameters and buffers.

    Those buffers count too that its state dict leaves out, such as how it normalises its input.
    """
    digest = sha256(type(victim).__qualname__.encode())
    for name in ("identity", "size", "channels"):
        digest.update(f"{name} {getattr(victim, name, '')}".encode())
    for name, value in sorted([*victim.named_parameters(), *victim.named_buffers()]):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


class PluginError(PriemoError):
    """A plug-in failed; says how."""


@contextmanager
def plugin() -> Iterator[None]:
    """Within it, whatever a plug-in raises becomes a PluginError of one line."""
    with plugin_errors() as failure:
        yield
    if failure.reason:
        raise PluginError(failure.reason)


@dataclass
class RunContext:
    """The data sets, victims and defenses of a spec.

    Attributes:
        spec: of the run.
        device: of the victims, "cpu" or "cuda".
    """

    spec: Spec
    device: str = "cpu"
    _broken: dict[str, str] = field(default_factory=dict, repr=False)
    _splits: dict[tuple[str, Split], FaceSet] = field(default_factory=dict, repr=False)
    _samples: dict[tuple[str, Split, int | None, int], FaceSet] = field(
        default_factory=dict, repr=False
    )
    _probabilities: dict[tuple[str, str], Probabilities] = field(default_factory=dict, repr=False)
    _vanishing: dict[tuple[str, str, tuple[int, ...]], bool] = field(
        default_factory=dict, repr=False
    )

    @cached_property
    def victims(self) -> dict[str, nn.Module]:
        """Victims and surrogates, frozen, by name; without those in `broken`."""
        wanted = dict.fromkeys([*self.spec.victims, *self.spec.all_surrogates])
        found = {name: self._victim(name) for name in wanted}
        return {name: victim for name, victim in found.items() if victim is not None}

    @property
    def broken(self) -> dict[str, str]:
        """Why parts cannot be loaded, by "victim NAME", "defense NAME" and "metric NAME"."""
        self.victims, self.defenses, self.metrics  # noqa: B018
        return self._broken

    def _victim(self, name: str) -> nn.Module | None:
        """None for one that fails to load; weights that are missing are the user's to mend."""
        try:
            with plugin():
                make = registry.get("victims", name)
            with plugin():
                try:
                    victim: nn.Module = freeze(make().to(self.device))
                except PriemoError as error:
                    missing: PriemoError | None = error
                else:
                    missing = None
        except PluginError as error:
            self._broken[f"victim {name}"] = f"it cannot be loaded: {error}"
            return None
        if missing is not None:
            raise missing
        return victim

    @cached_property
    def defenses(self) -> dict[str, Defense]:
        """By name, without those in `broken`; "none" always comes first; random ones by draw."""
        found: dict[str, Defense] = {}
        for name in dict.fromkeys(["none", *self.spec.defenses]):
            try:
                found |= all_draws(name, registry.get("defenses", name))
            except PriemoError as error:
                self._broken[f"defense {name}"] = str(error)
        return found

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """By name, without those in `broken`.

        Raises:
            PriemoError: one of them needs weights that are not installed.
        """
        found = {}
        for name in dict.fromkeys([*MEASURES, *self.spec.metrics]):
            try:
                found[name] = registry.get("metrics", name)
            except PriemoError as error:
                self._broken[f"metric {name}"] = str(error)
        for metric in found.values():
            if hasattr(metric, "check"):
                metric.check()
        return found

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Of whole splits and of weights, by "test NAME", "fit NAME" and "victim NAME"."""
        found = {f"victim {n}": weights_fingerprint(v) for n, v in self.victims.items()}
        splits: tuple[Split, ...] = ("fit", "test")
        for dataset in self.spec.datasets:
            for split in splits:
                found[f"{split} {dataset.name}"] = self.split(dataset.name, split).fingerprint
        return found

    def split(self, dataset: str, split: Split) -> FaceSet:
        """A whole split."""
        if (dataset, split) not in self._splits:
            wanted = next(d for d in self.spec.datasets if d.name == dataset)
            source = registry.get("datasets", dataset)(wanted.data, wanted.size)
            self._splits |= {(dataset, part): source.split(part) for part in ("fit", "test")}
        return self._splits[dataset, split]

    def faces(self, dataset: str, split: Split, limit: int | None, seed: int) -> FaceSet:
        """A sample of `limit` faces of a split; the whole for None."""
        key = (dataset, split, limit, seed)
        if key not in self._samples:
            self._samples[key] = sample(self.split(dataset, split), limit, seed)
        return self._samples[key]

    def test_faces(self, cell: Cell) -> FaceSet:
        """The faces that a cell protects."""
        return self.faces(cell.dataset, "test", cell.limit, cell.draw_seed)

    def classifiers(
        self, attack: str, surrogates: Iterable[str], dataset: str
    ) -> list[PyTorchClassifier]:
        """ART classifiers of an attack's surrogates; their `Ensemble` where it takes one only."""
        _, channels, height, _ = self.split(dataset, "fit").images.shape
        victims = [self.victims[name] for name in surrogates]
        if len(victims) > 1 and registry.get("attacks", attack).traits.surrogates == "one":
            victims = [Ensemble(victims)]
        return [as_art(victim, channels, height) for victim in victims]

    def labels(self, target: int, faces: FaceSet, surrogates: Iterable[str]) -> Labels | None:
        """The `y` of an attack: its target, or its surrogates' clean predictions; never the truth.

        None for an attack without surrogates.

        Args:
            target: index into EMOTIONS, or -1 for an untargeted attack.
        """
        names = list(surrogates)
        if not names:
            return None
        if target >= 0:
            return np.full(len(faces), target, np.int64)
        return self.predictions(names, faces)

    def predictions(self, names: Iterable[str], faces: FaceSet) -> Labels:
        """(n,) class of the highest mean probability of the named victims on clean faces."""
        means: Probabilities = np.mean([self._clean(name, faces) for name in names], 0)
        classes: Labels = means.argmax(1)
        return classes

    def _clean(self, name: str, faces: FaceSet) -> Probabilities:
        key = (name, faces.fingerprint)
        if key not in self._probabilities:
            self._probabilities[key] = self.probabilities(name, faces.images)
        return self._probabilities[key]

    def clean_predictions(self, name: str, faces: FaceSet) -> Labels:
        """(n,) classes that a victim predicts for clean faces, without a defense."""
        classes: Labels = self._clean(name, faces).argmax(1)
        return classes

    def clean_probabilities(self, name: str, faces: FaceSet) -> Probabilities:
        """(n, 7) probabilities that a victim gives clean faces, without a defense."""
        return self._clean(name, faces)

    def probabilities(self, name: str, x: ByteImages | FloatImages) -> Probabilities:
        """(n, 7) softmax of a victim's logits.

        Raises:
            PriemoError: the victim gives another number of logits, or some that are not finite.
        """
        with plugin():
            found = probabilities(self.victims[name], x)
        if found.shape != (len(x), len(EMOTIONS)):
            raise PriemoError(
                f"it gave logits of shape {found.shape} for {len(x)} images; a victim gives "
                f"{len(EMOTIONS)} each, one per emotion"
            )
        if not np.isfinite(found).all():
            raise PriemoError("it gave logits that are not finite")
        return found

    def gradient_vanishes(self, name: str, faces: FaceSet) -> bool:
        """Whether a victim's cross-entropy has no gradient at most of PROBES faces."""
        key = (name, faces.name, faces.images.shape)
        if key not in self._vanishing:
            x = torch.from_numpy(to_float(faces.images[:PROBES])).to(self.device)
            logits = self.victims[name](x.requires_grad_())
            loss = torch.nn.functional.cross_entropy(logits, logits.argmin(1), reduction="sum")
            (gradient,) = torch.autograd.grad(loss, x)
            zero = gradient.flatten(1).abs().amax(1) == 0
            self._vanishing[key] = bool(zero.float().mean() > 0.5)
        return self._vanishing[key]

"""What was fitted, as safetensors with its meaning in the metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

import priemo_bench
from priemo_bench.attacks import unet
from priemo_bench.attacks.priemo.generator import Generator
from priemo_bench.attacks.priemo.objective import FeatureVectors
from priemo_bench.attacks.priemo.universal import Pattern
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    from priemo_bench.attacks.priemo.attack import PriEMO

FORMAT = "priemo-3"
CARRIER = "carrier."
"""Before the names of what makes the perturbation."""
SETTINGS = (
    "scope", "targeted", "ssim_floor", "eps", "psnr_floor", "layer", "loss", "distance",
    "weighting", "confidence", "steps", "restarts", "momentum", "diversity", "translation",
    "sharpness", "balance", "delta", "batch_size", "random_state", "fooling_rate",
)  # fmt: skip


def save(attack: PriEMO, path: Path) -> None:
    """Write what makes the perturbation and the universal feature vectors of each surrogate."""
    vectors = attack._objective.vectors if attack._objective else []
    carrier = attack._carrier
    if carrier is None and not vectors:
        raise PriemoError("nothing to save: call fit() first")
    tensors = {
        f"{i}.{name}": value.contiguous()
        for i, part in enumerate(vectors)
        for name, value in vars(part).items()
        if value is not None
    }
    if carrier is not None:
        tensors |= {CARRIER + k: v.contiguous() for k, v in carrier.state_dict().items()}
    settings = {name: getattr(attack, name) for name in SETTINGS}
    metadata = {
        "format": FORMAT,
        "version": priemo_bench.__version__,
        "emotions": ",".join(EMOTIONS),
        "image": "x".join(map(str, _fitted_at(carrier))) if carrier is not None else "any",
        "surrogates": str(len(vectors)),
        "settings": json.dumps(settings),
    }
    save_file(tensors, path, metadata)


def load(cls: type[PriEMO], path: Path, classifier: Any, **params: Any) -> PriEMO:
    """An attack as it was when saved; `params` (surrogates, verbose ...) as in its constructor."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise PriemoError(f"{path} cannot be read as safetensors: {error}") from error
    if metadata.get("format") != FORMAT:
        raise PriemoError(f"{path} was not written by PriEMO.save")
    settings = json.loads(metadata["settings"])
    fooling_rate = settings.pop("fooling_rate")
    attack = cls(classifier, **{**settings, **params})
    state = {k.removeprefix(CARRIER): v for k, v in tensors.items() if k.startswith(CARRIER)}
    carrier = attack._carrier = _carrier(state, metadata["image"], attack.budget.floor is None)
    attack.fooling_rate = fooling_rate
    if classifier is not None:
        objective = attack._new_objective()
        surrogates = objective.surrogates
        if len(surrogates) != int(metadata["surrogates"]):
            raise PriemoError(
                f"{path} was fitted with {metadata['surrogates']} surrogates, not {len(surrogates)}"
            )
        device = surrogates[0].device
        objective.vectors = [_vectors(tensors, i, device) for i in range(len(surrogates))]
        attack._objective = objective
        attack._carrier = carrier.to(device) if carrier is not None else None
    return attack


def _fitted_at(carrier: Pattern | Generator) -> tuple[int, ...]:
    """(c, h, w) of the faces it was fitted on (a generator's, rounded up to eights)."""
    size = carrier.size if isinstance(carrier, Generator) else ()
    return (*carrier.shape, *size)


def _carrier(
    state: dict[str, torch.Tensor], image: str, bounded: bool
) -> Pattern | Generator | None:
    """What the tensors are of: one called u is a pattern, several are a generator's weights."""
    if not state:
        return None
    if "u" in state:
        return Pattern(state["u"])
    channels, height, width = map(int, image.split("x"))
    return unet.restored(Generator(channels, (height, width), bounded), state)


def _vectors(tensors: dict[str, torch.Tensor], i: int, device: torch.device) -> FeatureVectors:
    names = FeatureVectors.__dataclass_fields__
    found = {name: tensors[f"{i}.{name}"].to(device) for name in names if f"{i}.{name}" in tensors}
    return FeatureVectors(**found)

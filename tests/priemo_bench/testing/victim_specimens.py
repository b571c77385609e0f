"""Victims that keep every rule, and for each rule one that breaks it, under the rule's name."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from priemo_bench.contracts.card import Card
from priemo_bench.testing import ToyVictim


class Softmax(ToyVictim):
    def head(self, f: Tensor) -> Tensor:
        return super().head(f).softmax(1)


class SixLogits(ToyVictim):
    def head(self, f: Tensor) -> Tensor:
        return super().head(f)[:, :6]


class NotANumber(ToyVictim):
    def head(self, f: Tensor) -> Tensor:
        return super().head(f) * torch.nan


class GreyIsSomethingElse(ToyVictim):
    def prepare(self, x: Tensor) -> Tensor:
        return super().prepare(1 - x if x.shape[1] == 1 else x)


class ModifiesImages(ToyVictim):
    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        x.mul_(0.5)
        return logits


class NeedsContiguous(ToyVictim):
    def forward(self, x: Tensor) -> Tensor:
        x.view(-1)
        return super().forward(x)


class SeedsTorch(ToyVictim):
    def forward(self, x: Tensor) -> Tensor:
        torch.manual_seed(0)
        return super().forward(x)


class TakesAnyValues(ToyVictim):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.nan_to_num().clamp(0, 1))


class Training(ToyVictim):
    def __init__(self) -> None:
        super().__init__()
        self.train()


class Random(ToyVictim):
    def embed(self, x: Tensor) -> Tensor:
        return super().embed(x + 0.01 * torch.rand_like(x))


class BatchNormed(ToyVictim):
    def embed(self, x: Tensor) -> Tensor:
        return super().embed(x - x.mean(0))


class BesideTheHead(ToyVictim):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


class Masked(ToyVictim):
    def embed(self, x: Tensor) -> Tensor:
        return super().embed(x + (x.round() - x).detach())  # straight through


class Rounded(ToyVictim):
    def embed(self, x: Tensor) -> Tensor:
        return super().embed(x.round())


class Dictionary(ToyVictim):
    def forward(self, x: Tensor) -> Any:
        return {"logits": super().forward(x)}


class NoCard(ToyVictim):
    def __init__(self) -> None:
        super().__init__()
        self.card = Card(
            name="", architecture="", parameters=1, input="", training_data="", licence="",
            sha256="0" * 64,
        )  # fmt: skip


CONFORMING = {
    "victims": (ToyVictim,),
}
BREAKS: dict[str, dict[str, tuple[Any, ...]]] = {
    "victims": {
        "accepts_any_size_and_colour": (SixLogits, NotANumber, Dictionary),
        "returns_logits": (Softmax,),
        "grey_equals_its_rgb_copy": (GreyIsSomethingElse,),
        "does_not_modify_its_input": (ModifiesImages,),
        "takes_any_tensor": (NeedsContiguous,),
        "leaves_global_state_alone": (SeedsTorch,),
        "refuses_bad_input": (TakesAnyValues,),
        "is_in_evaluation_mode": (Training,),
        "is_deterministic": (Random,),
        "is_independent_of_the_batch": (BatchNormed,),
        "head_of_features_is_forward": (BesideTheHead,),
        "gradient_is_correct": (Masked, Rounded),
        "works_in_art": (Dictionary,),
        "has_a_card": (NoCard,),
    },
}

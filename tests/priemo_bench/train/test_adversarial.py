from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from priemo_bench.contracts.dataset import FaceSet
from priemo_bench.contracts.training import Adversarial, TrainingSpec
from priemo_bench.contracts.victim import Victim
from priemo_bench.train.adversarial import worst_case
from priemo_bench.train.trainer import Training


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(9, 2))


@pytest.mark.parametrize("steps", [1, 4])
def test_worst_case_of_a_linear_classifier_is_known_in_closed_form(steps: int) -> None:
    """Of two classes: every pixel moves by eps along the sign of the weights' difference."""
    net, eps = linear(), 0.05
    x, y = torch.rand(6, 1, 3, 3) * 0.8 + 0.1, torch.tensor([0, 1, 0, 1, 1, 0])
    difference = net[2].weight[1] - net[2].weight[0]  # type: ignore[index]
    towards_wrong = torch.where(y == 0, 1.0, -1.0)[:, None] * difference.sign()
    expected = x + eps * towards_wrong.view(x.shape)
    net.train()
    assert torch.allclose(worst_case(net, x, y, eps, steps), expected)
    assert net.training


def test_stays_in_the_image_range() -> None:
    x = (torch.rand(4, 1, 3, 3) < 0.5).float()
    worst = worst_case(linear(), x, torch.zeros(4, dtype=torch.long), 0.3, 2)
    assert worst.min() >= 0
    assert worst.max() <= 1
    assert (worst - x).abs().max() <= 0.3 + 1e-6


def test_the_bound_grows_over_the_ramp() -> None:
    spec = Adversarial(eps=0.1, steps=1, ramp=0.5)
    assert [spec.bound(done) for done in (0, 0.25, 0.5, 0.9)] == pytest.approx([0, 0.05, 0.1, 0.1])
    assert Adversarial(eps=0.1, steps=1, ramp=0).bound(0) == 0.1


def test_training_learns_from_the_worst_case(
    build: Callable[[], Victim],
    spec: TrainingSpec,
    faces: Callable[..., FaceSet],
    tmp_path: Path,
) -> None:
    """Same seed: other weights than without; interrupted and resumed, the same again."""
    adversarial = spec.model_copy(update={"adversarial": Adversarial(eps=0.1, steps=2)})

    def weights(name: str, used: TrainingSpec, stop: int | None = None) -> torch.Tensor:
        sets, choices = {"toy": faces()}, {"toy": faces("choice", seed=9)}
        training = Training(build, used, sets, choices, tmp_path / name)
        training.run(stop)
        return training.net.state_dict()["last.weight"].clone()

    whole = weights("whole", adversarial)
    assert not torch.equal(whole, weights("plain", spec))
    weights("broken", adversarial, 1)
    assert torch.equal(whole, weights("broken", adversarial))

"""What is wrong with a stranger's network is said when it comes in: one specimen for each fault."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from priemo_bench import registry
from priemo_bench.contracts.given import as_victim
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.victim import as_art
from priemo_bench.errors import PriemoError
from priemo_bench.testing.toys import toy_faces
from priemo_bench.testing.victims import check_victim


@pytest.fixture(autouse=True)
def _own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that a test gives end with it."""
    monkeypatch.setattr(registry, "_OWN", {})


def net(outputs: int = 7) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.AdaptiveAvgPool2d(6), nn.Flatten(), nn.Linear(108, outputs))


class Does(nn.Module):
    """A network whose forward pass is a function of it and its input."""

    def __init__(self, function: Callable[[nn.Module, Tensor], Any], outputs: int = 7) -> None:
        super().__init__()
        self.net, self.function = net(outputs), function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.net, x)


def traced(inner: nn.Module) -> nn.Module:
    """Exported in training mode, which `eval()` does not undo."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: nn.Module = torch.jit.trace(
            inner.train(), torch.rand(4, 3, 48, 48), check_trace=False
        )
    return found


FAULTS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "dropout": (
        lambda: traced(nn.Sequential(nn.Dropout(0.5), net())),
        "answers the same images differently when asked twice .* export it after model.eval()",
    ),
    "batch norm": (
        lambda: traced(nn.Sequential(nn.BatchNorm2d(3), net())),
        "answers an image differently alone and among others .* export it after model.eval()",
    ),
    "eight outputs": (lambda: net(8), "has 8 outputs for 7 labels; give a label for each"),
    "two outputs": (
        lambda: Does(lambda n, x: (n(x), x.mean((2, 3)))),
        r"gives 2 outputs, of shapes \(4, 7\), \(4, 3\); pick one: output = 0",
    ),
    "named outputs": (
        lambda: Does(lambda n, x: {"emotion": n(x), "age": n(x)}),
        "gives 2 outputs, 'emotion', 'age'; pick one",
    ),
    "no tensor": (lambda: Does(lambda n, x: "happy"), "gives a str; it must give one tensor"),
    "one row": (lambda: Does(lambda n, x: n(x)[:1]), r"gives \(1, 7\) for 4 images"),
    "flat": (lambda: Does(lambda n, x: n(x).argmax(1)), r"gives \(4,\) for 4 images"),
    "NaN": (lambda: Does(lambda n, x: n(x) * torch.nan), "gives NaN or infinity"),
    "rounding": (
        lambda: Does(lambda n, x: n((x * 16).round() / 16)),
        "gradient of zero at every pixel, as rounding.* evaluation_only = true",
    ),
    "detached": (lambda: Does(lambda n, x: n(x.detach())), "has a gradient of zero|gives no grad"),
    "numpy": (
        lambda: Does(lambda n, x: torch.from_numpy(2 * n(x).detach().numpy())),
        "gives no gradient at its images",
    ),
    "fails": (lambda: Does(lambda n, x: n(x[:, :2])), "cannot predict images of 3 or 1 channels"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence(fault: str) -> None:
    make, sentence = FAULTS[fault]
    with pytest.raises(PriemoError, match=sentence) as error:
        as_victim(make().eval(), name="mine")
    assert "\n" not in str(error.value)
    assert re.match("victim 'mine' ", str(error.value))


def test_a_sound_network_is_taken_as_it_is() -> None:
    sound = net().train().requires_grad_(True)
    victim: Any = as_victim(sound, name="mine")
    check_victim(lambda: victim)
    x = torch.rand(3, 3, 30, 40)
    assert torch.equal(victim(x), sound(x))
    assert victim.features(x).shape == (3, 108)
    assert sound.training
    assert all(p.requires_grad for p in sound.parameters())
    grey = torch.rand(2, 1, 30, 40)
    assert torch.equal(victim(grey), sound(grey.expand(-1, 3, -1, -1)))
    other: Any = as_victim(net(), name="b")
    sound[2].weight.data += 1
    assert other.card.sha256 == victim.card.sha256 != as_victim(sound, name="c").card.sha256


@pytest.mark.parametrize(("channels", "size"), [(1, 64), (3, 40), (1, 299)])
def test_size_and_channels_are_found(channels: int, size: int) -> None:
    torch.manual_seed(0)
    fixed = nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, 7))
    victim: Any = as_victim(fixed, name="mine")
    assert (victim.size, victim.channels) == (size, channels)
    assert victim(torch.rand(2, 3, 48, 48)).shape == (2, 7)


def test_labels_probabilities_and_scale() -> None:
    labels = ["contempt", *reversed(EMOTIONS)]
    inner = nn.Sequential(net(8), nn.Softmax(1))
    victim: Any = as_victim(
        inner, name="mine", labels=labels, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1)
    )
    x = torch.rand(2, 3, 48, 48)
    inputs = (x - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor([0.2, 0.2, 0.1]).view(
        3, 1, 1
    )
    wanted = inner(inputs)[:, [7, 6, 5, 4, 3, 2, 1]]
    torch.testing.assert_close(victim(x).softmax(1), wanted / wanted.sum(1, keepdim=True))
    check_victim(lambda: victim)


def test_a_network_that_rounds_can_be_judged() -> None:
    victim = as_victim(FAULTS["rounding"][0]().eval(), name="mine", evaluation_only=True)
    assert victim(torch.rand(2, 3, 48, 48)).shape == (2, 7)
    with pytest.raises(PriemoError, match="cannot be a surrogate"):
        victim(torch.rand(2, 3, 48, 48).requires_grad_())
    registry.adopt("victims", ("rounded", victim))
    registry.adopt("victims", ("box", as_victim(lambda x: ["sad"] * len(x), name="box")))
    registry.adopt("victims", ("plain", as_victim(net(), name="plain")))
    assert registry.is_black_box("rounded")
    assert registry.is_black_box("box")
    assert not registry.is_black_box("plain")
    check_victim(registry.get("victims", "box"))


def test_a_view_survives_channels_last() -> None:
    class Viewed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3, 2), nn.Linear(4 * 23 * 23, 7)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.fc(self.conv(x).view(len(x), -1))
            return found

    victim = as_victim(Viewed(), name="mine")
    assert as_art(victim, 3, 48).predict(np.zeros((2, 3, 48, 48), np.float32)).shape == (2, 7)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"labels": EMOTIONS[:6]}, "labels name 'neutral' not at all"),
        ({"labels": ["sad"] * 7}, "labels name 'angry' not at all"),
        ({"labels": [*EMOTIONS, "other"]}, "has 7 outputs for 8 labels"),
        ({"channels": 4}, "channels is 4; it must be 1 or 3"),
        ({"size": 10**7}, "size is 10000000; it must be 1 to 4096"),
        ({"std": (0.0,)}, "std is .* positive"),
        ({"mean": (0.5, 0.5)}, "mean is .* a value per channel"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PriemoError, match=sentence):
        as_victim(net(), name="mine", **arguments)


BRIGHT = [0, 3, 6]


def by_brightness(images: Any) -> Any:
    """0, 1 or 2 for dark, middle and bright images."""
    return np.digitize(images.mean((1, 2, 3)), [100, 150])


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: [EMOTIONS[BRIGHT[k]] for k in by_brightness(x)],
        lambda x: np.array(BRIGHT)[by_brightness(x)],
        lambda x: np.eye(7)[np.array(BRIGHT)[by_brightness(x)]],
        lambda x: torch.eye(7)[torch.tensor(BRIGHT)[by_brightness(x)]] * 20 - 10,
        lambda x: [[float(k == BRIGHT[b]) for k in range(7)] for b in by_brightness(x)],
    ],
    ids=["words", "numbers", "probabilities", "logits", "lists"],
)
def test_a_function_is_a_black_box(answer: Any) -> None:
    seen: list[Any] = []

    def predict(images: Any) -> Any:
        seen.append((images.dtype, images.shape[1:]))
        return answer(images)

    box: Any = as_victim(predict, name="api")
    x = torch.tensor([0.1, 0.5, 0.9]).view(3, 1, 1, 1).expand(3, 3, 20, 30)
    assert box(x).argmax(1).tolist() == BRIGHT
    assert seen[-1] == (np.uint8, (3, 20, 30))
    assert not box.differentiable
    with pytest.raises(PriemoError, match="cannot be a surrogate"):
        box(x.clone().requires_grad_())
    with pytest.raises(PriemoError, match="victim 'api' is a black box without gradients"):
        box.features(x)


def test_published_pixels_arrive_exactly() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    seen: list[Any] = []

    def predict(images: Any) -> list[str]:
        seen.append(images)
        return ["sad"] * len(images)

    box = as_victim(predict, name="api")
    box(torch.from_numpy(pixels.astype(np.float32) / np.float32(255)))
    assert np.array_equal(seen[-1], pixels)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda x: 1 / 0, "fails on uint8 images of shape .* ZeroDivisionError"),
        (lambda x: None, "it must give 3 labels, or scores"),
        (lambda x: ["bored"] * len(x), "answers 'bored'; it must be one of angry"),
        (lambda x: [9] * len(x), "answers 9; it must be one of angry"),
        (lambda x: np.zeros((len(x), 8)), r"of shape \(3, 8\) for 3 images"),
        (lambda x: np.full((len(x), 7), np.nan), "NaN or infinite"),
        (lambda x: np.random.default_rng().normal(size=(len(x), 7)), "when asked twice"),
        (lambda x: [[1.0], [1.0, 2.0], [3.0]], "it must give 3 labels"),
    ],
)
def test_answers_of_a_function_are_checked(answer: Any, sentence: str) -> None:
    with pytest.raises(PriemoError, match=sentence) as error:
        as_victim(answer, name="api")
    assert "\n" not in str(error.value)


def test_what_is_neither() -> None:
    thing: Any = 3
    with pytest.raises(PriemoError, match="victim 'mine' is a int"):
        as_victim(thing, name="mine")


def test_toy_faces_are_read_by_a_function() -> None:
    """The contract in one: a nearest-mean reader as a function, on faces of known emotions."""
    x, y = toy_faces(70, 1, 32)
    means = np.stack([x[y == k].mean(0) for k in range(7)]).reshape(7, -1)
    means -= means.mean(1, keepdims=True)

    def predict(images: Any) -> Any:
        return (images[:, :1].reshape(len(images), -1) / 255) @ means.T

    box = as_victim(predict, name="api", size=32, channels=1)
    assert (box(torch.from_numpy(x)).argmax(1).numpy() == y).mean() > 0.9

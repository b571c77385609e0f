"""A user's own classifiers: tiny networks of every format, against those networks."""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import tomli_w
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from priemo_bench import Benchmark, registry
from priemo_bench.contracts.emotions import outputs_of_emotions
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.errors import PriemoError
from priemo_bench.run.context import weights_fingerprint
from priemo_bench.run.spec import load
from priemo_bench.testing.toys import toy_faces
from priemo_bench.testing.victims import check_victim
from priemo_bench.victims.custom.description import Description, read

HSE = ["Anger", "Contempt", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise"]
OURS = [0, 2, 3, 4, 6, 7, 5]
"""Indices of EMOTIONS in HSE."""
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
TIMM, TORCHVISION = "mobilenetv3_small_050", "shufflenet_v2_x0_5"


@pytest.fixture(autouse=True)
def _own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that a test gives end with it."""
    monkeypatch.setattr(registry, "_OWN", {})


class Tiny(nn.Module):
    """A convolution, a `view`, and a linear layer; maybe a softmax."""

    def __init__(self, channels: int = 3, many: int = 8, softmax: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, stride=2, padding=1)
        self.fc = nn.Linear(4 * 16 * 16, many)
        self.softmax = softmax

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).tanh()
        logits: Tensor = self.fc(x.contiguous().view(x.shape[0], -1))
        return logits.softmax(1) if self.softmax else logits


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return make().eval()


def write(folder: Path, **values: Any) -> Path:
    """A TOML for HSEmotion-like networks, with other `values`; None leaves a key out."""
    keys = {
        "name": "mine", "labels": HSE, "size": 32, "channels": 3, "mean": MEAN, "std": STD,
        "licence": "MIT", "training_data": "none: random weights", **values,
    }  # fmt: skip
    path = folder / "mine.toml"
    path.write_text(tomli_w.dumps({k: v for k, v in keys.items() if v is not None}))
    return path


def victim(path: Path) -> Any:
    return registry.get("victims", str(path))()


def a_timm(folder: Path) -> tuple[Path, nn.Module]:
    net = seeded(lambda: timm.create_model(TIMM, num_classes=8))
    save_file(net.state_dict(), folder / "a.safetensors")
    return write(folder, format="timm", architecture=TIMM, file="a.safetensors"), net


def a_torchvision(folder: Path) -> tuple[Path, nn.Module]:
    net = seeded(lambda: torchvision.models.get_model(TORCHVISION, weights=None, num_classes=8))
    state = {f"module.{k}": v for k, v in net.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, folder / "a.pth")
    return write(folder, format="torchvision", architecture=TORCHVISION, file="a.pth"), net


def a_torchscript(folder: Path) -> tuple[Path, nn.Module]:
    net = seeded(Tiny)
    torch.jit.trace(net, torch.rand(2, 3, 32, 32)).save(folder / "a.pt")
    return write(folder, format="torchscript", file="a.pt"), net


def export(net: nn.Module, path: Path, channels: int = 3) -> None:
    torch.onnx.export(
        net, (torch.rand(2, channels, 32, 32),), path, dynamo=False, opset_version=17,
        input_names=["x"], dynamic_axes={"x": {0: "n"}},
    )  # fmt: skip


def an_onnx(folder: Path) -> tuple[Path, nn.Module]:
    pytest.importorskip("onnx2torch")
    net = seeded(lambda: timm.create_model(TIMM, num_classes=8))
    export(net, folder / "a.onnx")
    return write(folder, format="onnx", file="a.onnx"), net


FORMATS = {"timm": a_timm, "torchvision": a_torchvision, "torchscript": a_torchscript,
           "onnx": an_onnx}  # fmt: skip
each = pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS.keys())


@each
def test_gives_the_networks_logits_in_emotion_order(make: Any, tmp_path: Path) -> None:
    path, net = make(tmp_path)
    x = torch.from_numpy(toy_faces(3, 3, 32)[0])
    inputs = (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(victim(path)(x), net(inputs)[:, OURS], rtol=1e-4, atol=1e-5)


@each
def test_conforms(make: Any, tmp_path: Path) -> None:
    path, _ = make(tmp_path)
    check_victim(registry.get("victims", str(path)))


@each
def test_features_go_into_the_last_linear_layer(make: Any, tmp_path: Path) -> None:
    own = victim(make(tmp_path)[0])
    features = own.features(torch.rand(2, 1, 48, 48))
    if make is a_torchscript:
        assert features.shape == (2, 7)
        assert "no last linear layer" in own.card.features
    else:
        assert features.shape[1] > 100
        assert own.card.features == "input of the last linear layer"


def test_the_card_has_the_facts_of_the_toml(tmp_path: Path) -> None:
    make, _ = a_timm(tmp_path)
    card = victim(make).card
    assert (card.name, card.licence, card.dropped) == ("mine", "MIT", ["Contempt"])
    assert TIMM in card.architecture
    assert "32x32 RGB" in card.input


@pytest.mark.parametrize("softmax", [False, True])
def test_probabilities_become_logits(softmax: bool, tmp_path: Path) -> None:
    """TorchScript shows no layer, so these are logarithms of the probabilities."""
    net = seeded(lambda: Tiny(softmax=softmax))
    torch.jit.trace(net, torch.rand(2, 3, 32, 32)).save(tmp_path / "a.pt")
    outputs = "probabilities" if softmax else "logits"
    path = write(tmp_path, format="torchscript", file="a.pt", outputs=outputs)
    check_victim(registry.get("victims", str(path)))
    wrong = "logits" if softmax else "probabilities"
    with pytest.raises(PriemoError, match=f'write outputs = "{outputs}"'):
        victim(write(tmp_path, format="torchscript", file="a.pt", outputs=wrong))


def test_the_logits_before_a_softmax_are_found(tmp_path: Path) -> None:
    pytest.importorskip("onnx2torch")
    export(seeded(lambda: Tiny(softmax=True)), tmp_path / "a.onnx")
    own = victim(write(tmp_path, format="onnx", file="a.onnx", outputs="probabilities"))
    bare = seeded(Tiny)
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(own(x), bare(own.prepare(x))[:, OURS], rtol=1e-4, atol=1e-5)


def test_range_order_and_layout(tmp_path: Path) -> None:
    class Last(Tiny):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.permute(0, 3, 1, 2) / 100)

    net = seeded(Last)
    torch.jit.trace(net, torch.rand(2, 32, 32, 3)).save(tmp_path / "a.pt")
    path = write(
        tmp_path, format="torchscript", file="a.pt", layout="nhwc", order="bgr",
        range=255, mean=[103.9, 116.8, 123.7], std=[1.0, 1.0, 1.0],
    )  # fmt: skip
    x = torch.rand(2, 3, 32, 32)
    inputs = 255 * x.flip(1).permute(0, 2, 3, 1) - torch.tensor([123.7, 116.8, 103.9]).flip(0)
    with torch.no_grad():
        torch.testing.assert_close(victim(path)(x), net(inputs)[:, OURS], rtol=1e-4, atol=1e-4)


def test_a_classifier_in_a_sequential_is_found(tmp_path: Path) -> None:
    """As HSEmotion's training code keeps it."""
    net = seeded(lambda: timm.create_model(TIMM, num_classes=8))
    state = {re.sub(r"^classifier\.", "classifier.0.", k): v for k, v in net.state_dict().items()}
    torch.save(state, tmp_path / "a.pt")
    own = victim(write(tmp_path, format="timm", architecture=TIMM, file="a.pt"))
    assert torch.equal(own.net.classifier.weight, net.classifier.weight)


def test_labels_give_the_order_of_outputs(tmp_path: Path) -> None:
    """A linear classifier of toy patterns, its outputs shuffled, predicts every emotion."""
    x, y = toy_faces(70, 1, 8)
    order = np.random.default_rng(0).permutation(7)
    means = np.stack([x[y == k].mean(0) for k in order]).reshape(7, 64)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 7)).eval()
    with torch.no_grad():
        centred = torch.from_numpy(means - means.mean(1, keepdims=True))
        net[1].weight.copy_(100 * centred / centred.norm(dim=1, keepdim=True))
        net[1].bias.zero_()
    torch.jit.trace(net, torch.rand(2, 1, 8, 8)).save(tmp_path / "a.pt")
    path = write(
        tmp_path, format="torchscript", file="a.pt", labels=[EMOTIONS[k] for k in order],
        size=8, channels=1, mean=[0.0], std=[1.0],
    )  # fmt: skip
    recall = (victim(path)(torch.from_numpy(x)).argmax(1).numpy() == y).mean()
    assert recall > 0.9


def test_preprocessing_and_weights_are_the_fingerprint(tmp_path: Path) -> None:
    path, _ = a_timm(tmp_path)
    first = weights_fingerprint(victim(path))
    assert weights_fingerprint(victim(path)) == first
    write(tmp_path, format="timm", architecture=TIMM, file="a.safetensors", mean=[0.5, 0.5, 0.5])
    assert weights_fingerprint(victim(path)) != first


BASE = {"format": "timm", "architecture": TIMM, "file": "a.safetensors"}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"labels": [*HSE[:-1], "Suprise"]}, "no emotion is called 'Suprise'; did you mean"),
        ({"labels": HSE[:-1]}, "labels name 'surprise' not at all"),
        ({"labels": [*HSE, "anger"]}, "labels name 'angry' twice"),
        ({"mean": [0.5]}, "mean has 1 values; it must have one for each of the 3 channels"),
        ({"std": [0.2, 0.2, 0.0]}, "it must be positive"),
        ({"range": 255}, "are not on the scale of range = 255"),
        ({"mean": [123.0, 116.0, 103.0]}, "are not on the scale of range = 1"),
        ({"range": 2}, "range is 2: input should be 1 or 255"),
        ({"size": 0}, "size is 0: input should be greater than 0"),
        ({"licence": ""}, "licence is '': string should have at least 1 character"),
        ({"labels": None}, "labels is missing; give the emotion of each output"),
        ({"size": None}, "size is missing; give the side of the network's input"),
        ({"channel": 3}, "no key is called 'channel'; did you mean channels"),
        ({"format": "caffe"}, "format is 'caffe': input should be 'timm', 'torchvision'"),
        ({"architecture": None}, "architecture is missing"),
        ({"format": "onnx"}, "leave architecture out"),
        ({"architecture": "mobilenetv3_smal_050"}, "did you mean mobilenetv3_small_050"),
        ({"architecture": "hf-hub:someone/something"}, "no timm network is called"),
        ({"options": {"pretrained": True}}, "may not have 'pretrained'"),
        ({"options": {"nonsense": 1}}, "cannot make"),
        ({"architecture": "resnet18"}, "is not a timm resnet18: it lacks 'conv1.weight' and"),
        ({"weights": "b.pth"}, 'weights go with format "module"'),
        ({"format": "torchscript", "architecture": None, "options": {"a": 1}}, "no constructor"),
        ({"labels": [*HSE, "other"]}, r"classifier\.(weight|bias) is \(8"),
        ({"file": "b.pth"}, "weight file .*b.pth does not exist"),
        ({"sha256": "0" * 64}, "it is corrupt or another version"),
        ({"sha256": "12"}, "sha256 is '12'"),
    ],
)
def test_mistakes_are_one_sentence(values: dict[str, Any], reason: str, tmp_path: Path) -> None:
    a_timm(tmp_path)
    refused(write(tmp_path, **{**BASE, **values}), reason)


def refused(path: Path, reason: str) -> None:
    with pytest.raises(PriemoError, match=reason) as error:
        victim(path)
    assert "\n" not in str(error.value)


def test_toml_that_is_invalid_or_missing(tmp_path: Path) -> None:
    refused(tmp_path / "no.toml", "victim file .*no.toml does not exist")
    (tmp_path / "bad.toml").write_text("name = ")
    refused(tmp_path / "bad.toml", "is not TOML")


class Rogue:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("rogue-ran"),))


@pytest.mark.parametrize(
    ("thing", "remedy"),
    [
        (
            nn.Linear(2, 2),
            r"a whole network.*\.state_dict\(\), 'state\.pth'\), or use its ONNX form",
        ),
        ({"state_dict": Rogue()}, r"more than weights.*\['state_dict'\], 'state\.pth'\)"),
        (
            {"state_dict": {"a": torch.zeros(1)}, "args": argparse.Namespace(lr=1)},
            r"more than weights \(argparse\.Namespace\).*\['state_dict'\], 'state\.pth'\)",
        ),
    ],
    ids=["net", "rogue", "arguments"],
)
def test_pickled_code_is_refused_with_a_remedy(
    thing: object, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(thing, "a.pt")
    refused(write(tmp_path, **{**BASE, "file": "a.pt"}), remedy)
    assert not Path("rogue-ran").exists()


@pytest.mark.parametrize("format", ["timm", "torchscript", "onnx"])
@pytest.mark.parametrize(
    "text", ["version https://git-lfs.github.com/spec/v1\noid", "<!DOCTYPE html>", "root:x:0:0"]
)
def test_a_text_in_place_of_weights(format: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_text(text * 9)
    architecture = TIMM if format == "timm" else None
    path = write(tmp_path, format=format, architecture=architecture, file="a.pth")
    refused(path, rf"a\.pth is a text that begins with '{text[:9]}.*git lfs pull")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("classifier.bias"), "lacks 'classifier.bias'$"),
        (lambda state: state.update(x=torch.zeros(1)), "has 'x' that the network lacks$"),
    ],
)
def test_a_weight_too_few_or_too_many(change: Any, said: str, tmp_path: Path) -> None:
    path, net = a_timm(tmp_path)
    state = dict(net.state_dict())
    change(state)
    save_file(state, tmp_path / "a.safetensors")
    refused(path, f"is not a timm {TIMM}: it {said}")


def test_averaged_weights_alone(tmp_path: Path) -> None:
    _, net = a_timm(tmp_path)
    torch.save({"state_dict_ema": net.state_dict()}, tmp_path / "a.pth")
    assert victim(write(tmp_path, format="timm", architecture=TIMM, file="a.pth"))


@pytest.mark.parametrize("file", ["/dev/zero", ".", "~nobody-of-this-name/a.pth"])
def test_what_is_no_file(file: str, tmp_path: Path) -> None:
    refused(write(tmp_path, **{**BASE, "file": file}), "weight file .* (is no file|does not exist)")


@each
def test_damaged_weights_are_one_sentence(make: Any, tmp_path: Path) -> None:
    path, _ = make(tmp_path)
    (file,) = tmp_path.glob("a.*")
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for at in rng.integers(0, min(len(whole), 4000), 25):
        code = bytearray(whole)
        code[at : at + 4] = rng.integers(0, 256, 4, dtype=np.uint8).tobytes()
        file.write_bytes(code)
        read_or_refused(path)


@pytest.mark.parametrize("field", Description.model_fields)
def test_any_value_is_read_or_refused_by_a_sentence(field: str, tmp_path: Path) -> None:
    a_timm(tmp_path)
    values = {"format": "timm", "architecture": TIMM, "file": "a.safetensors"}
    odd: list[Any] = [
        True, -1, 0, 9999999, 1e30, float("inf"), float("nan"), 10**30, "", "x", "a\nb", "\x07",
        "x" * 500, [], {}, ["x"], [[]], [float("nan")] * 3, [1e30] * 3, {"a": {"b": 1}},
        {"resnet": ["weights"]}, {"resnet": ["x"]}, {"depth": -1},
    ]  # fmt: skip
    of_network = ("format", "file", "architecture", "options", "labels", "size", "channels")
    for value in odd:
        path = write(tmp_path, **{**values, field: value})
        read_or_refused(path, victim if field in of_network else read)


def read_or_refused(path: Path, reader: Callable[[Path], object] = victim) -> None:
    said = ""
    try:
        reader(path)
    except PriemoError as error:
        said = str(error)
    assert "\n" not in said, said


@pytest.mark.parametrize("keep", [0, 100, -100])
@each
def test_truncated_files_are_refused(make: Any, keep: int, tmp_path: Path) -> None:
    path, _ = make(tmp_path)
    (file,) = tmp_path.glob("a.*")
    file.write_bytes(file.read_bytes()[:keep])
    refused(path, "damaged|cannot convert|is not ONNX")


def test_torchscript_in_place_of_a_state_dict(tmp_path: Path) -> None:
    a_torchscript(tmp_path)
    refused(write(tmp_path, **{**BASE, "file": "a.pt"}), 'give format = "torchscript"')


def test_a_network_with_another_input_or_output(tmp_path: Path) -> None:
    a_torchscript(tmp_path)
    path = write(tmp_path, format="torchscript", file="a.pt", size=64)
    refused(path, "cannot predict images of 3x64x64")
    path = write(tmp_path, format="torchscript", file="a.pt", labels=list(EMOTIONS))
    refused(path, "has 8 outputs for 7 labels; give a label for each")


def test_onnx_of_a_tensorflow_like_network(tmp_path: Path) -> None:
    """It pads by what it computes of each map's size, as HSEmotion's EfficientNets do."""
    pytest.importorskip("onnx2torch")
    net = seeded(lambda: timm.create_model("tf_mobilenetv3_small_minimal_100", num_classes=8))
    export(net, tmp_path / "a.onnx")
    own = victim(write(tmp_path, format="onnx", file="a.onnx"))
    x = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(own(x), net(own.prepare(x))[:, OURS], rtol=1e-4, atol=1e-5)


def test_onnx_with_weights_elsewhere(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path, _ = an_onnx(tmp_path)
    model = onnx.load(tmp_path / "a.onnx")
    onnx.save(model, tmp_path / "a.onnx", save_as_external_data=True, size_threshold=0)
    refused(path, "keeps its weights in another file; write it as one")


SPEC = """name = "own"
victims = ["resnet", "mine.toml"]
surrogates = ["mine.toml"]
select_limit = 7
[[datasets]]
name = "rendered"
limit = 14
[[attacks]]
name = "fgsm"
budgets = ["equal"]
eps_grid = ["4/255"]
"""


def test_a_benchmark_takes_the_path_as_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    a_timm(tmp_path)
    Path("spec.toml").write_text(SPEC)
    rows = Benchmark("spec.toml", out="out").run().rows()
    assert set(rows["victim"]) == {"resnet", "mine"}
    assert set(rows["surrogate"]) == {"mine"}
    done = {path: path.stat().st_mtime_ns for path in Path("out/cells").iterdir()}
    Benchmark("spec.toml", out="out").run()
    assert {path: path.stat().st_mtime_ns for path in Path("out/cells").iterdir()} == done
    write(tmp_path, **BASE, range=255, mean=[124.0, 116.0, 104.0], std=[58.0, 57.0, 57.0])
    Benchmark("spec.toml", out="out").run()
    new = {*Path("out/cells").iterdir()} - done.keys()
    assert [path.name.endswith(".images.npz") for path in new].count(True) == 1  # attacked again


def test_a_spec_names_a_file_that_is_missing() -> None:
    with pytest.raises(PriemoError, match=r"victim file no\.toml does not exist"):
        load("default", victims=("no.toml",))
    with pytest.raises(PriemoError, match=r"no attack is called 'no\.toml'"):
        load("default", attacks=("no.toml",))


def test_the_example_of_the_docs_is_right() -> None:
    page = Path(__file__).parents[2] / "docs/models.md"
    text = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)[0]
    found = Description(**tomllib.loads(text))
    labels = found.labels or ()
    outputs = outputs_of_emotions(labels)
    assert [labels[i].lower()[:2] for i in outputs] == [n[:2] for n in EMOTIONS]

"""Own recognisers as people have them: each format against the network that was written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import torch
from torch import Tensor, nn

from priemo_bench import registry
from priemo_bench.contracts.emotions import outputs_of_emotions
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.errors import PriemoError
from priemo_bench.testing.victims import check_victim

os.environ.setdefault("KERAS_BACKEND", "torch")  # before anything imports Keras
ORDER = ["sad", "disgust", "angry", "neutral", "fear", "surprise", "happy"]
OURS = outputs_of_emotions(ORDER)


@pytest.fixture(autouse=True)
def _own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that a test gives end with it."""
    monkeypatch.setattr(registry, "_OWN", {})


def write(folder: Path, **values: Any) -> Path:
    path = folder / "mine.toml"
    path.write_text(tomli_w.dumps({"labels": ORDER, **values}))
    return path


def victim(path: Path | str) -> Any:
    return registry.get("victims", str(path))()


def refused(path: Path | str, sentence: str) -> None:
    with pytest.raises(PriemoError, match=sentence) as error:
        victim(path)
    assert "\n" not in str(error.value)


class Net(nn.Module):
    def __init__(self, outputs: int = 7) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 4, 3, stride=4), nn.Linear(4 * 64, outputs)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.conv(x).tanh().flatten(1))
        return logits


class Two(Net):
    def forward(self, x: Tensor) -> Any:
        return x.mean((2, 3)), super().forward(x)


def same(own: Any, net: nn.Module, size: int = 32, channels: int = 3) -> None:
    x = torch.rand(3, channels, size, size)
    with torch.no_grad():
        torch.testing.assert_close(own(x), net(x)[:, OURS], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("output", [1, None, 5])
def test_torchscript_of_two_outputs(output: int | None, tmp_path: Path) -> None:
    torch.jit.trace(Two().eval(), torch.rand(2, 3, 32, 32)).save(tmp_path / "a.pt")
    picked = {} if output is None else {"output": output}
    path = write(tmp_path, format="torchscript", file="a.pt", **picked)
    if output == 1:
        same(victim(path), Net())
        assert (victim(path).size, victim(path).channels) == (32, 3)
    elif output is None:
        refused(path, r"gives 2 outputs, of shapes \(4, 3\), \(4, 7\); pick one: output = 0")
    else:
        refused(path, "output is 5; the network has 0, 1")


def export(net: nn.Module, path: Path, batch: bool = True, **options: Any) -> None:
    torch.onnx.export(
        net.eval(), (torch.rand(1, 3, 32, 32),), path, dynamo=False, opset_version=17,
        input_names=["x"], dynamic_axes={"x": {0: "n"}} if batch else None, **options,
    )  # fmt: skip


@pytest.mark.parametrize("output", ["emotion", 1, None, "age"])
def test_onnx_of_two_outputs(output: str | int | None, tmp_path: Path) -> None:
    pytest.importorskip("onnx2torch")
    export(Two(), tmp_path / "a.onnx", output_names=["mean", "emotion"])
    picked = {} if output is None else {"output": output}
    path = write(tmp_path, format="onnx", file="a.onnx", **picked)
    if output in ("emotion", 1):
        same(victim(path), Net())
    elif output is None:
        refused(path, "has 2 outputs, 'mean', 'emotion'; pick the one with the emotions")
    else:
        refused(path, "output is 'age'; .* has 'mean', 'emotion'")


def test_onnx_of_one_image_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("onnx2torch")

    class Fixed(Net):
        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.fc(self.conv(x).tanh().reshape(1, 256))
            return logits

    export(Fixed(), tmp_path / "a.onnx", batch=False)
    own = victim(write(tmp_path, format="onnx", file="a.onnx"))
    assert (own.size, own.channels) == (32, 3)
    same(own, Net())
    check_victim(lambda: own)


def test_gradients_that_die_are_said_or_declared(tmp_path: Path) -> None:
    class Rounded(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward((x * 16).round() / 16)

    torch.jit.trace(Rounded().eval(), torch.rand(2, 3, 32, 32)).save(tmp_path / "a.pt")
    values = {"format": "torchscript", "file": "a.pt"}
    refused(write(tmp_path, **values), "gradient of zero .* write evaluation_only = true")
    path = write(tmp_path, **values, evaluation_only=True)
    same(victim(path), Rounded())
    assert registry.is_black_box(str(path))
    with pytest.raises(PriemoError, match="cannot be a surrogate"):
        victim(path)(torch.rand(1, 3, 32, 32).requires_grad_())


CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, outputs=7):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3, stride=4), nn.Linear(4 * 64, outputs)

    def forward(self, x):
        return self.fc(self.conv(x).tanh().flatten(1))

made = Net()

def predict(images):
    return ["happy" if image.mean() > 128 else "sad" for image in images]

def other():
    return 3
"""


def test_a_module_with_its_weights(tmp_path: Path) -> None:
    (tmp_path / "net_of_mine.py").write_text(CODE)
    net = Net()
    torch.save({"state_dict": net.state_dict()}, tmp_path / "a.pth")
    values = {"format": "module", "file": "net_of_mine.py:Net"}
    own = victim(write(tmp_path, **values, weights="a.pth", options={"outputs": 7}))
    same(own, net)
    check_victim(lambda: own)
    assert own.card.features == "input of the last linear layer"
    assert victim(write(tmp_path, format="module", file="net_of_mine.py:made")).size == 32
    refused(write(tmp_path, **values, options={"outputs": 8}), "has 8 outputs for 7 labels")
    refused(write(tmp_path, **values, options={"colour": 8}), "cannot be made with options")
    refused(write(tmp_path, format="module", file="net_of_mine.py:other"), "makes a int")
    refused(write(tmp_path, format="module", file="net_of_mine.py:Nets"), "did you mean Net")
    refused(write(tmp_path, format="module", file="no.py:Net"), "no.py does not exist")


def test_a_function(tmp_path: Path) -> None:
    (tmp_path / "api_of_mine.py").write_text(CODE)
    path = write(tmp_path, format="function", file="api_of_mine.py:predict", name="api")
    own = victim(path)
    x = torch.tensor([0.2, 0.8]).view(2, 1, 1, 1).expand(2, 3, 9, 9)
    assert [EMOTIONS[k] for k in own(x).argmax(1)] == ["sad", "happy"]
    assert own.card.name == "api"
    assert registry.is_black_box(str(path))
    first = own.identity
    (tmp_path / "api_of_mine.py").write_text(CODE + "\n")
    assert victim(path).identity != first


def test_code_by_reference(tmp_path: Path) -> None:
    """What `--victims file.py:thing` takes, without any TOML."""
    (tmp_path / "plain_net.py").write_text(CODE)
    assert victim(f"{tmp_path}/plain_net.py:Net")(torch.rand(2, 1, 48, 48)).shape == (2, 7)
    box = victim(f"{tmp_path}/plain_net.py:predict")
    assert not box.differentiable
    assert registry.is_black_box(f"{tmp_path}/plain_net.py:predict")
    assert not registry.is_black_box(f"{tmp_path}/plain_net.py:Net")


def a_folder(tmp_path: Path, **others: Any) -> tuple[Path, Any]:
    """A folder as Hugging Face has it, and its network."""
    transformers = pytest.importorskip("transformers")
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        image_size=32, patch_size=16, id2label=dict(enumerate(ORDER)),
        label2id={name: k for k, name in enumerate(ORDER)},
    )  # fmt: skip
    net = transformers.ViTForImageClassification(config).eval()
    folder = tmp_path / "vit"
    net.save_pretrained(folder)
    processor = {
        "do_normalize": True, "do_rescale": True, "do_resize": True, "rescale_factor": 1 / 255,
        "image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.4, 0.2], "resample": 2,
        "size": {"height": 32, "width": 32}, **others,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder, net


def test_a_folder_of_hugging_face(tmp_path: Path) -> None:
    folder, net = a_folder(tmp_path)
    (tmp_path / "mine.toml").write_text('format = "transformers"\nfile = "vit"\n')
    own = victim(tmp_path / "mine.toml")
    check_victim(lambda: own)
    for other in (own, victim(f"hf:{folder}"), victim(f"trpakov-vit:{folder}")):
        x = torch.rand(2, 3, 32, 32)
        inputs = (x - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor(
            [0.5, 0.4, 0.2]
        ).view(3, 1, 1)
        with torch.no_grad():
            torch.testing.assert_close(other(x), net(pixel_values=inputs).logits[:, OURS])
    assert own.card.features == "input of the last linear layer"
    assert own.card.labels == ORDER
    assert victim(f"trpakov-vit:{folder}").card.data == ("fer2013",)


def test_a_folder_whose_images_are_cropped(tmp_path: Path) -> None:
    a_folder(tmp_path, size={"shortest_edge": 40}, do_center_crop=True, crop_size=32)
    (tmp_path / "mine.toml").write_text('format = "transformers"\nfile = "vit"\n')
    own = victim(tmp_path / "mine.toml")
    x = torch.rand(2, 3, 40, 40)
    moved = x.clone()
    moved[..., :4], moved[..., :4, :] = 0, 0
    assert torch.equal(own(x), own(moved))
    moved[..., 4:6] = 0
    assert not torch.equal(own(x), own(moved))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"num_hidden_layers": 10**6}, "num_hidden_layers is 1000000, which fits no weights"),
        ({"hidden_size": 10**6}, "numbers; the network that config.json describes has"),
        ({"num_hidden_layers": 3}, "lacks .* more of the network that config.json describes"),
        ({"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}}, "custom code"),
        ({"model_type": "bert"}, "is no image classifier of transformers"),
        ({"id2label": {str(k): f"LABEL_{k}" for k in range(7)}}, "called 'LABEL_0'"),
    ],
)
def test_a_folder_that_is_not_as_it_says(
    config: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    folder, _ = a_folder(tmp_path)
    plain = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**plain, **config}))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    refused(f"hf:{folder}", sentence)
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_safetensors(tmp_path: Path) -> None:
    folder, net = a_folder(tmp_path)
    (folder / "model.safetensors").unlink()
    torch.save(net.state_dict(), folder / "pytorch_model.bin")
    refused(f"hf:{folder}", "model.safetensors does not exist")
    refused(f"hf:{tmp_path}/no", "is no folder; it must have config.json, model.safetensors")


KERAS = """
import os, sys, json
os.environ["KERAS_BACKEND"] = "torch"
import keras, numpy as np
from keras.src.legacy.saving import legacy_h5_format
import h5py
L = keras.layers
keras.utils.set_random_seed(0)
net = keras.Sequential([L.Input((24, 24, 1)), L.Conv2D(4, 3, activation="relu"),
                        L.BatchNormalization(), L.Dropout(0.5), L.Flatten(),
                        L.Dense(7, activation="softmax")])
net.save("a.keras")
net.save("a.h5")
open("a.json", "w").write(net.to_json())
with h5py.File("w.h5", "w") as file:
    legacy_h5_format.save_weights_to_hdf5_group(file, net)
x = np.random.default_rng(0).random((3, 24, 24, 1)).astype("float32")
np.savez("x.npz", x=x, y=net.predict(x, verbose=0))
evil = keras.Sequential([L.Input((24, 24, 1)), L.Lambda(lambda x: x * 2), L.Flatten(), L.Dense(7)])
evil.save("evil.keras")
evil.save("evil.h5")
i = L.Input((24, 24, 1))
h = L.Flatten()(i)
keras.Model(i, {"age": L.Dense(2)(h), "emotion": L.Dense(7)(h)}).save("two.keras")
"""


@pytest.fixture(scope="module")
def keras_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that Keras wrote in a process of its own."""
    pytest.importorskip("keras")
    folder = tmp_path_factory.mktemp("keras")
    subprocess.run([sys.executable, "-c", KERAS], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.filterwarnings("ignore::UserWarning:keras", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "values",
    [{"file": "a.keras"}, {"file": "a.h5"}, {"file": "w.h5", "architecture": "a.json"}],
    ids=["keras", "h5", "json"],
)
def test_a_model_of_keras(values: dict[str, str], keras_files: Path) -> None:
    path = keras_files / "mine.toml"
    path.write_text(tomli_w.dumps({"format": "keras", "labels": ORDER, **values}))
    own = victim(path)
    known = np.load(keras_files / "x.npz")
    x = torch.from_numpy(known["x"].transpose(0, 3, 1, 2).copy()).requires_grad_()
    scores = own(x).softmax(1)
    torch.testing.assert_close(scores.detach(), torch.from_numpy(known["y"][:, OURS]))
    (gradient,) = torch.autograd.grad(scores[:, 0].sum(), x)
    inside = x.detach().clamp(0.1, 0.9)
    step = 1e-2 * gradient / gradient.norm()
    with torch.no_grad():
        above, below = (own(y).softmax(1)[:, 0].sum() for y in (inside + step, inside - step))
    assert float(above - below) / 2e-2 == pytest.approx(float(gradient.norm()), rel=0.1)
    assert (own.size, own.channels, own.layout) == (24, 1, "nhwc")


@pytest.mark.filterwarnings("ignore::UserWarning:keras", "ignore::DeprecationWarning")
def test_models_of_keras_that_are_refused(keras_files: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = keras_files / "mine.toml"

    def read(**values: Any) -> Path:
        path.write_text(tomli_w.dumps({"format": "keras", "labels": ORDER, **values}))
        return path

    for file in ("evil.keras", "evil.h5"):
        refused(read(file=file), "has a Lambda layer, which runs code of the file")
    refused(read(file="w.h5"), "has weights alone, not their architecture; write it from its code")
    refused(read(file="two.keras"), "gives 2 outputs, 'age', 'emotion'; pick one: output = NAME")
    assert victim(read(file="two.keras", output="emotion"))
    (keras_files / "b.keras").write_bytes((keras_files / "a.keras").read_bytes()[:-200])
    refused(read(file="b.keras"), "is no .keras file, or is damaged")
    (keras_files / "b.h5").write_bytes(b"\\x89HDF" + b"0" * 99)
    refused(read(file="b.h5"), "is not HDF5, or is damaged")
    with h5py.File(keras_files / "c.h5", "w") as file:
        file.attrs["model_config"] = "{}"
        file.create_dataset("x", (10**5, 10**5), "f4", chunks=(100, 100))
    refused(read(file="c.h5"), "claims 40,000,000,000 bytes of weights")
    with h5py.File(keras_files / "d.h5", "w") as file:
        file["x"] = h5py.ExternalLink("/etc/hostname", "/")
    refused(read(file="d.h5"), "has a link at '/x'; a model file has none")


def test_an_archive_of_keras_with_more_in_it(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    import io
    import zipfile

    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file["x"] = np.zeros(3)

    def archive(name: str, members: dict[str, bytes]) -> Path:
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr("model.weights.h5", weights.getvalue())
            for member, content in members.items():
                zipped.writestr(member, content)
        return write(tmp_path, format="keras", file=name)

    outside = archive("a.keras", {"../../evil": b"x", "config.json": b"{}"})
    refused(outside, "holds '../../evil'; a model of layers of Keras holds")
    assert not (tmp_path.parent.parent / "evil").exists()
    bomb = archive("b.keras", {"config.json": b" " * 50_000_000})
    refused(bomb, "would unpack to")
    config = {"class_name": "Sequential", "module": "os", "config": {}}
    refused(archive("c.keras", {"config.json": json.dumps(config).encode()}), "imports 'os'")
    deep = b'{"a":' * 500 + b"1" + b"}" * 500
    refused(archive("d.keras", {"config.json": deep}), "nested too deeply|is no model of Keras")
    config = {"class_name": "Dense", "config": {"units": 10**9}}
    huge = archive("e.keras", {"config.json": json.dumps(config).encode()})
    refused(huge, "units is 1000000000, which fits no weights")


def test_a_zip_of_weights_that_grows(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("archive/data.pkl", b"0" * 30_000_000)
    path = write(
        tmp_path, format="timm", architecture="mobilenetv3_small_050", file="a.pth", size=32
    )
    refused(path, "would unpack from .* no weight file")


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(
    ("first", "sentence"),
    [
        (lambda: nn.Dropout(0.5), "differently when asked twice .* export it after model.eval()"),
        (lambda: nn.BatchNorm2d(3), "alone and among others .* export it after model.eval()"),
    ],
    ids=["dropout", "batch norm"],
)
def test_a_network_traced_in_training_mode(first: Any, sentence: str, tmp_path: Path) -> None:
    """Case 09 of peers' bug reports."""
    net = nn.Sequential(first(), Net()).train()
    torch.jit.trace(net, torch.rand(4, 3, 32, 32), check_trace=False).save(tmp_path / "a.pt")
    refused(write(tmp_path, format="torchscript", file="a.pt", size=32, channels=3), sentence)


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n" + b"\x00" * 99, b"\x1f\x8b" + b"\x07" * 99, b"\x80\x02" + b"q" * 50,
     b"PK\x05\x06" + b"\x00" * 18, b"\x00" * 512, b"(lp0\n\x80", b"\x80\x02}q\x00.", b"\xff"],
)  # fmt: skip
@pytest.mark.parametrize("format", ["timm", "torchscript", "onnx"])
def test_foreign_files_are_one_sentence(format: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    more = {"architecture": "resnet18"} if format == "timm" else {}
    refused(write(tmp_path, format=format, file="a.pth", size=32, channels=3, **more), "a.pth")


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"best": np.float64(0.9)}, r"numpy.*\['state_dict'\], 'state\.pth'\)"),
        ({"best": np.zeros(2)}, r"numpy.*\['state_dict'\], 'state\.pth'\)"),
        ({"when": Path("x")}, r"pathlib.*\['state_dict'\], 'state\.pth'\)"),
    ],
)
def test_what_training_scripts_keep_beside_weights(
    beside: dict[str, Any], said: str, tmp_path: Path
) -> None:
    """Case 24 of peers' bug reports: the advice is one that works."""
    torch.save({"state_dict": {"a": torch.zeros(1)}, **beside}, tmp_path / "a.pth")
    path = write(tmp_path, format="timm", architecture="resnet18", file="a.pth", size=32)
    refused(path, said)
    torch.save(torch.load(tmp_path / "a.pth", weights_only=False)["state_dict"], tmp_path / "a.pth")
    refused(path, "is not a timm resnet18: it lacks")


def test_a_module_and_a_function_in_memory(tmp_path: Path) -> None:
    """Two lines: victims of a benchmark by name, the function judged only."""
    from priemo_bench import Benchmark

    def predict(images: Any) -> list[str]:
        return ["happy" if image.mean() > 120 else "sad" for image in images]

    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(6), nn.Flatten(), nn.Linear(108, 7))
    victims = {"mine": pooled, "api": predict}
    plan = Benchmark(victims=victims, attacks=("fgsm", "noise"), limit=7, out=tmp_path).plan()
    assert set(plan["surrogate"]) == {"mine", "-"}
    assert registry.get("victims", "api")()(torch.rand(2, 1, 48, 48)).shape == (2, 7)


def test_a_spec_of_black_boxes_alone(tmp_path: Path) -> None:
    from priemo_bench.run.plan import cells
    from priemo_bench.run.spec import load

    (tmp_path / "boxes.py").write_text(CODE)
    spec = tmp_path / "s.toml"
    spec.write_text(
        f'victims = ["box={tmp_path}/boxes.py:predict"]\n[[datasets]]\nname = "rendered"\n'
        '[[attacks]]\nname = "noise"\n[[attacks]]\nname = "pgd"\n'
    )
    with pytest.raises(PriemoError, match="attack 'pgd' looks into a model, and every victim is"):
        cells(load(spec))

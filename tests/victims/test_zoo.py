"""The embedded victims; the contract all victims share is in tests/test_conformance.py."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from priemo_bench.contracts.card import relations
from priemo_bench.contracts.weights import load_weights
from priemo_bench.data.rendered import Rendered
from priemo_bench.errors import PriemoError
from priemo_bench.train.measure import evaluate_victim
from priemo_bench.victims.plain import PLAIN, PlainlyTrained
from priemo_bench.victims.recognition import dlib_resnet
from priemo_bench.victims.robust import ROBUST, FineTuned
from priemo_bench.victims.timm_victim import TimmVictim
from priemo_bench.victims.zoo import HERE, ZOO, EmbeddedVictim, repvgg, repvgg_robust, repvgg_twin

MEGABYTE = 10**6
OF_RENDERED_FACES = (*ZOO, *ROBUST, dlib_resnet)
each = pytest.mark.parametrize("entry", [*OF_RENDERED_FACES, *PLAIN], ids=lambda e: e.name)
each_of_rendered_faces = pytest.mark.parametrize("entry", OF_RENDERED_FACES, ids=lambda e: e.name)
each_plain = pytest.mark.parametrize("entry", PLAIN, ids=lambda entry: entry.name)


def test_the_zoo_is_small_and_of_many_families() -> None:
    entries = (*OF_RENDERED_FACES, *PLAIN)
    assert sum(entry.weights.stat().st_size for entry in entries) <= 60 * MEGABYTE
    assert len(ZOO) >= 8
    models = [entry.spec.model for entry in ZOO]
    assert len({(m["architecture"], str(m.get("options", {}).get("block"))) for m in models}) >= 7
    assert all(48 <= entry.spec.model["size"] <= 112 for entry in ZOO)
    assert any(entry.spec.adversarial for entry in ZOO)
    assert any(entry.spec.augmentation.compressed and entry.spec.augmentation.blurred
               for entry in ZOO)  # fmt: skip
    assert any(entry.spec.model["channels"] == 1 for entry in ZOO)


def test_two_of_them_are_one_network_from_two_seeds() -> None:
    assert repvgg.spec.model == repvgg_twin.spec.model
    assert repvgg.spec.seed != repvgg_twin.spec.seed


@each
def test_spec_card_and_weights_belong_together(entry: EmbeddedVictim) -> None:
    assert entry.spec.name == entry.card.name == entry.name
    assert set(entry.spec.repeats) == ({"fer2013"} if entry in PLAIN else {"fer2013", "rendered"})
    state = load_file(entry.weights)
    assert all(v.dtype == torch.float16 for v in state.values() if v.is_floating_point())
    victim = entry()
    assert all(p.dtype == torch.float32 for p in victim.parameters())
    assert entry.card.parameters == sum(p.numel() for p in victim.parameters())


@each
def test_features_are_the_input_of_the_last_linear_layer(entry: EmbeddedVictim) -> None:
    victim = entry()
    linear = [m for m in victim.modules() if isinstance(m, torch.nn.Linear)][-1]
    seen: list[torch.Tensor] = []
    linear.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x = torch.rand(3, 1, 48, 48)
    logits = victim(x)
    assert linear.out_features == logits.shape[1] == 7
    assert torch.equal(seen[0], victim.features(x))
    assert torch.equal(victim.head(seen[0]), logits)


@each_of_rendered_faces
def test_accuracy_on_the_rendered_test_split_is_that_of_the_card(entry: EmbeddedVictim) -> None:
    expected = entry.card.accuracy["rendered test"]["overall"]
    measured = evaluate_victim(entry(), {"test": Rendered().split("test")})["test"]["overall"]
    assert measured["value"] >= expected["low"]
    assert measured["n"] == expected["n"]


@each_of_rendered_faces
def test_reaches_its_floors(entry: EmbeddedVictim) -> None:
    """62 % of FER2013 and 92 % of rendered faces of strangers; less if adversarially trained."""
    accuracy, trained = entry.card.accuracy, entry.spec.adversarial
    wide = trained is not None and trained.eps > 0.01
    assert accuracy["fer2013 choice"]["overall"]["value"] >= (0.50 if trained else 0.62)
    assert accuracy["rendered test"]["overall"]["value"] >= (0.85 if wide else 0.92)


@each_plain
def test_plain_victims_read_the_middle_of_faces_that_were_hardly_altered(
    entry: PlainlyTrained,
) -> None:
    """What is outside the crop decides nothing."""
    assert entry.card.accuracy["fer2013 choice"]["overall"]["value"] >= 0.5
    altered = entry.spec.augmentation
    assert not any((altered.contrast, altered.brightness, altered.gamma, altered.erased))
    victim, x = entry(), torch.rand(2, 1, 48, 48)
    edge = round((1 - victim.crop) / 2 * 48)
    other = torch.rand(2, 1, 48, 48)
    inside = slice(edge, 48 - edge)
    other[:, :, inside, inside] = x[:, :, inside, inside]
    assert torch.equal(victim(other), victim(x))
    if edge:
        other[:, :, edge] = 1 - x[:, :, edge]
        assert not torch.equal(victim(other), victim(x))


@pytest.mark.parametrize("entry", ROBUST, ids=lambda entry: entry.name)
def test_training_starts_from_the_weights_that_its_card_names(entry: FineTuned) -> None:
    assert entry.build().architecture == entry.origin.build().architecture
    started, origin = entry.initial().state_dict(), entry.origin().state_dict()
    assert all(torch.equal(value, origin[name]) for name, value in started.items())
    assert entry.card.start == entry.origin.card.sha256 != entry.card.sha256
    assert "weights" in relations(entry.card, entry.origin.card)


def test_training_against_larger_changes_withstands_more_of_them() -> None:
    """PGD at 4/255 on the faces that chose the epoch, from clean training to 4/255."""
    entries = (repvgg, ROBUST[0], repvgg_robust, ROBUST[1])
    kept = [e.card.robust_accuracy["fer2013 choice"]["4"]["value"] for e in entries]
    assert kept == sorted(kept)
    assert len(set(kept)) == 4


@pytest.fixture
def copy(tmp_path: Path) -> EmbeddedVictim:
    """The first victim in a folder of its own."""
    for folder in ("specs", "cards", "weights"):
        (tmp_path / folder).mkdir()
        (source,) = (HERE / folder).glob(f"{ZOO[0].name}.*")
        shutil.copy(source, tmp_path / folder)
    return EmbeddedVictim(ZOO[0].name, tmp_path)


def test_changed_weights_are_refused(copy: EmbeddedVictim) -> None:
    code = bytearray(copy.weights.read_bytes())
    code[-1] ^= 1
    copy.weights.write_bytes(code)
    with pytest.raises(PriemoError, match="SHA-256") as error:
        copy()
    assert "\n" not in str(error.value)


def test_truncated_or_missing_weights_are_refused(copy: EmbeddedVictim) -> None:
    copy.weights.write_bytes(copy.weights.read_bytes()[:1000])
    with pytest.raises(PriemoError, match="SHA-256"):
        copy()
    copy.weights.unlink()
    with pytest.raises(PriemoError, match="missing"):
        copy()


def test_weights_of_another_network_are_refused_by_the_card(copy: EmbeddedVictim) -> None:
    shutil.copy(ZOO[1].weights, copy.weights)
    with pytest.raises(PriemoError, match="SHA-256"):
        copy()


def _certify(copy: EmbeddedVictim) -> None:
    """Make the card name the weight file as it is."""
    card = json.loads(copy.card_file.read_text())
    card["sha256"] = sha256(copy.weights.read_bytes()).hexdigest()
    copy.card_file.write_text(json.dumps(card))


def _refusal(copy: EmbeddedVictim) -> str:
    with pytest.raises(PriemoError) as error:
        copy()
    assert "\n" not in str(error.value)
    assert str(copy.weights) in str(error.value)
    return str(error.value)


def test_weights_that_do_not_fit_the_spec_are_refused(copy: EmbeddedVictim) -> None:
    shutil.copy(ZOO[1].weights, copy.weights)
    _certify(copy)
    assert "does not fit its network" in _refusal(copy)


def test_a_tensor_of_another_shape_is_named(copy: EmbeddedVictim) -> None:
    state = load_file(copy.weights)
    name = sorted(state)[0]
    state[name] = torch.zeros(3, 5)
    save_file(state, copy.weights)
    _certify(copy)
    assert f"1 of {len(state)} tensors" in (reason := _refusal(copy))
    assert f"{name!r}, (3, 5) in the file" in reason


def test_a_missing_tensor_is_named(copy: EmbeddedVictim) -> None:
    state = load_file(copy.weights)
    del state[(name := sorted(state)[0])]
    save_file(state, copy.weights)
    _certify(copy)
    assert f"{name!r}, absent in the file" in _refusal(copy)


@pytest.mark.parametrize("kept", [0, 5, 1000, -1])
def test_a_damaged_file_is_refused_even_if_its_hash_is_right(
    copy: EmbeddedVictim, kept: int
) -> None:
    copy.weights.write_bytes(copy.weights.read_bytes()[:kept])
    _certify(copy)
    assert "is not safetensors" in _refusal(copy)


def test_nothing_is_copied_when_anything_does_not_fit(copy: EmbeddedVictim) -> None:
    victim = copy.build()
    before = {name: tensor.clone() for name, tensor in victim.state_dict().items()}
    state = load_file(copy.weights)
    state[sorted(state)[-1]] = torch.zeros(3, 5)
    save_file(state, copy.weights)
    with pytest.raises(PriemoError):
        load_weights(victim, copy.weights)
    assert all(torch.equal(before[name], own) for name, own in victim.state_dict().items())


def test_a_victim_without_card_says_how_to_train_it(copy: EmbeddedVictim) -> None:
    copy.card_file.unlink()
    with pytest.raises(PriemoError, match="priemo-bench train"):
        copy()


def test_a_damaged_card_is_named(copy: EmbeddedVictim) -> None:
    card = json.loads(copy.card_file.read_text())
    del card["sha256"]
    copy.card_file.write_text(json.dumps(card))
    with pytest.raises(PriemoError, match="sha256"):
        copy()


def test_a_mirrored_victim_averages_over_a_face_and_its_mirror_image() -> None:
    given = {"architecture": "vgg", "size": 16, "options": {"layers": [4, "M", 8]}}
    torch.manual_seed(0)
    plain = TimmVictim(**given).eval()
    both = TimmVictim(**given, mirrored=True).eval()
    both.load_state_dict(plain.state_dict())
    x = torch.rand(3, 1, 16, 16)
    expected = (plain(x) + plain(x.flip(-1))) / 2
    assert torch.allclose(both(x), expected, atol=1e-5)
    assert torch.allclose(both(x.flip(-1)), expected, atol=1e-5)
    plain.train(), both.train()
    assert torch.equal(both(x), plain(x))


def test_a_seed_fixes_the_untrained_weights() -> None:
    def weights() -> np.ndarray:
        torch.manual_seed(0)
        return torch.cat([p.detach().flatten() for p in ZOO[0].build().parameters()]).numpy()

    assert np.array_equal(weights(), weights())

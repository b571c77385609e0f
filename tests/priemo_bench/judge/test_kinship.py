import pytest

from priemo_bench.contracts.card import Card, kinship, relations
from priemo_bench.errors import PriemoError
from priemo_bench.judge.kinship import check_relations, relatives


def card(name: str, **facts: object) -> Card:
    known = {
        "architecture": f"net {name} (small)", "parameters": 1, "input": "48x48 grey",
        "training_data": "-", "licence": "MIT", "sha256": name,
    }  # fmt: skip
    return Card(name=name, **{**known, **facts})


def test_kin_is_what_cards_share() -> None:
    a = card("a", data=("FER2013", "x"), authors=("me",), architecture="timm VGG (vgg, 1 2)")
    b = card("b", data=("fer2013",), architecture="timm VGG (vgg, 3 4)")
    assert relations(a, b) == relations(b, a) == ["common-data", "architecture"]
    assert relations(a, card("c", sha256="a", authors=("me",))) == ["weights", "authors"]


def test_what_a_card_leaves_out_is_not_shared() -> None:
    assert relations(card("a"), card("b")) == []


def test_either_card_may_declare() -> None:
    a, b = card("a"), card("b", kin={"a": ("weights",)})
    assert relations(a, b) == relations(b, a) == ["weights"]


def test_victims_that_start_from_the_same_weights_share_them() -> None:
    a, b = card("a", start="w"), card("b", start="w")
    assert relations(a, b) == ["weights"]
    assert relations(a, card("c", start="v")) == relations(a, card("d")) == []
    assert relations(card("e"), card("f")) == []  # from random weights, both


def test_students_are_kin_of_their_teachers_and_of_each_other() -> None:
    teacher, other = card("t"), card("o")
    a, b = card("a", kin={"t": ("teachers",)}), card("b", kin={"t": ("teachers",)})
    assert relations(a, teacher) == relations(teacher, b) == relations(a, b) == ["teachers"]
    assert relations(a, other) == relations(teacher, other) == []


def test_relatives_are_those_of_any_surrogate_by_the_relations_that_count() -> None:
    cards = [card("a", data=("x",)), card("b", data=("x",)), card("c", authors=("m",)),
             card("d", authors=("m",)), card("e")]  # fmt: skip
    kin = kinship({c.name: c for c in cards})
    assert kin["a"] == {"b": ["data"]}
    assert kin["e"] == {}
    assert relatives(kin, ["a", "c"], ("data", "authors")) == {"a", "b", "c", "d"}
    assert relatives(kin, ["a", "c"], ("authors",)) == {"a", "c", "d"}
    assert relatives(kin, [], ("authors",)) == set()
    with pytest.raises(PriemoError, match="'z'"):
        relatives(kin, ["z"], ("authors",))


def test_an_unknown_relation_is_named() -> None:
    assert check_relations(["data"]) == ("data",)
    with pytest.raises(PriemoError, match="did you mean weights"):
        check_relations(["weight"])

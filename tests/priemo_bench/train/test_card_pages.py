from priemo_bench.contracts.card import Card
from priemo_bench.train.card_pages import card_page, cell, zoo_page


def test_the_page_says_what_the_cards_say() -> None:
    rate = {"value": 0.654321, "low": 0.6, "high": 0.7, "n": 210, "persons": 30}
    card = Card(
        name="toy",
        architecture="none",
        parameters=1_250_000,
        input="16x16 grey",
        training_data="toy train (14 faces)",
        licence="MIT",
        sha256="0" * 64,
        accuracy={"toy test": {"overall": rate, "recall": {"happy": {**rate, "value": 0.9}}}},
    )
    text = zoo_page([card])
    assert "| toy | none | 1.25 M | 16x16 grey | toy train (14 faces) | MIT |" in text
    assert "| toy | 210 | 65.4 (60.0 to 70.0) |  |  |  | 90 |  |  |  |" in text


def test_a_victims_page_says_what_its_card_says() -> None:
    rate = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 20, "persons": 20}
    card = Card(
        name="toy",
        architecture="none",
        parameters=7,
        input="16x16 grey",
        training_data="toys",
        data_terms={"toys": "free | for all\n<b>"},
        licence="MIT",
        sha256="0" * 64,
        accuracy={"toy test": {"overall": rate, "recall": {}}},
        calibration={"toy test": {"ece": 0.125, "brier": 0.75, "n": 20}},
        robust_accuracy={"toy test": dict.fromkeys("01248", rate)},
        speed={"cpu": "abacus", "device": "cpu", "batch": 32,
               "1": {"forward": 9, "forward_backward": 3}},
    )  # fmt: skip
    text = card_page(card, {"twin": ["weights", "data"]})
    assert "| kin | twin (weights, data) |" in text
    assert "| terms of toys | free \\| for all &lt;b> |" in text
    assert "| toy test | 0.125 | 0.750 |" in text
    assert "| toy test | 20 | " + " | ".join(["50.0 (40.0 to 60.0)"] * 5) + " |" in text
    assert "abacus" in text
    assert "| 1 | 9 | 3 |" in text
    assert all(line.count(" | ") == 1 for line in text.splitlines() if line.startswith("| terms"))


def test_matrices_are_on_the_page() -> None:
    found = {"names": ["a", "b"], "n": 5, "agreement": [[1, 0.8], [0.8, 1]],
             "gradient": [[1, -0.25], [-0.25, 1]]}  # fmt: skip
    text = zoo_page([], {"toy test": found})
    assert "| a | 100.0 | 80.0 |" in text
    assert "| b | -0.25 | 1.00 |" in text


def test_cells_stay_cells() -> None:
    assert cell("a|b\n[x](y)") == "a\\|b \\[x\\](y)"

from priemo_bench.training.page import page
from priemo_bench.victim import Card


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
    text = page([card])
    assert "| toy | none | 1.25 M | 16x16 grey | toy train (14 faces) | MIT |" in text
    assert "| toy | 210 | 65.4 (60.0 to 70.0) |  |  |  | 90 |  |  |  |" in text

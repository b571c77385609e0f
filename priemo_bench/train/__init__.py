"""Training and measuring the embedded victims: `priemo-bench train` and `priemo-bench cards`."""

from priemo_bench.train.embedded import measure_again, train_victim

__all__ = ["measure_again", "train_victim"]

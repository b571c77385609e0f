"""Training of embedded victims: what `priemo-bench train` and `priemo-bench cards` call."""

from priemo_bench.train.embedded import measure_again, train_victim

__all__ = ["measure_again", "train_victim"]

"""Training of embedded victims: `train_victim` is what `priemo-bench train` calls."""

from priemo_bench.training.train import train_victim

__all__ = ["train_victim"]

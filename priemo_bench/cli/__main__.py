"""`python -m priemo_bench.cli`."""

from priemo_bench.cli import main

main()

"""`python -m priemo_bench`, the command line."""

from priemo_bench.cli import main

main()

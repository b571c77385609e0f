"""From stored rows to tables: rates, intervals, ranks and checks; no torch, no victim."""

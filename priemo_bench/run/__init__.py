"""From a spec to stored rows: cells planned, crafted, measured, predicted and collected."""

"""Data sets of labelled faces, and what they have in common: sampling, near copies, pictures."""

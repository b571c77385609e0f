"""Faces rendered from CC0 MakeHuman assets: where the embedded `rendered` data set comes from."""

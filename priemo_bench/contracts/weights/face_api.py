"""The npm package `@vladmandic/face-api`: weights of a public victim and of two metrics."""

from __future__ import annotations

from priemo_bench.contracts.weights.archive import NpmPackage

MEAN = (122.782 / 255, 117.001 / 255, 104.298 / 255)
"""Mean RGB, in [0, 1], that its expression and recognition networks subtract."""


def face_api_package(name: str, files: dict[str, str]) -> NpmPackage:
    """The pinned package, of which `name` keeps `files` (model file to its SHA-256)."""
    return NpmPackage(
        name=name,
        project="@vladmandic/face-api",
        version="1.7.15",
        sha256="0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
        files={f"package/model/{file}": digest for file, digest in files.items()},
        licence="MIT, Copyright (c) Vladimir Mandic (package), Vincent Mühler (weights)",
        licence_file="package/LICENSE",
    )

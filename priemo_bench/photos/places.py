"""Which files are photos to protect, and where each protected one goes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from priemo_bench.data.pictures import suffixes, visible_files
from priemo_bench.errors import PriemoError


@dataclass(frozen=True)
class Source:
    """A photo: its path, and the path below OUT that its protected file would have."""

    path: Path
    below: Path

    @property
    def key(self) -> str:
        """By which it is known in the record of a job."""
        return os.path.abspath(self.path)


def collect(given: Sequence[Path], out: Path) -> tuple[list[Source], list[str]]:
    """The photos in files and folders, each once, and notes on what is left out.

    Folders are searched with all that is below and behind links; hidden files, what is in `out`,
    and files that are no pictures by their names are left out.

    Raises:
        PriemoError: one that does not exist, or nothing to protect.
    """
    found: dict[str, Source] = {}
    others: Counter[str] = Counter()
    known, own = suffixes(), os.path.realpath(out)
    several = sum(path.is_dir() for path in given) > 1
    for path in given:
        if not os.path.exists(path):
            raise PriemoError(f"{path} does not exist")
        if not path.is_dir():
            found.setdefault(os.path.realpath(path), Source(path, Path(path.name)))
            continue
        top = path.resolve().parent if several else path
        for file in sorted(visible_files(path.resolve() if several else path)):
            real = os.path.realpath(file)
            if real.startswith(own + os.sep) and own != os.path.realpath(path):
                continue
            if file.suffix.lower() in known:
                found.setdefault(real, Source(file, file.relative_to(top)))
            else:
                others[file.suffix.lower() or "none"] += 1
    if not found:
        raise PriemoError(f"there are no photos in {', '.join(map(str, given))}")
    return list(found.values()), [
        f"{n} file{'s' * (n > 1)} of type {kind} {'were' if n > 1 else 'was'} left out"
        for kind, n in sorted(others.items())
    ]


def places(
    sources: Sequence[Source], out: Path, suffix: str, before: Mapping[str, str]
) -> list[Path]:
    """The file of each protected photo below `out`: its name with `suffix`.

    Two that would have one name keep their own suffixes in it.

    Args:
        before: key of a photo to the path below `out` that it had in an earlier job.

    Raises:
        PriemoError: a file is there already that is no earlier result for this photo.
    """
    originals = {os.path.realpath(source.path) for source in sources}
    taken = {at: key for key, at in before.items()}
    found = []
    for source in sources:
        below = source.below.with_suffix(suffix)
        for name in (below, source.below.with_name(source.below.name + suffix)):
            if taken.setdefault(name.as_posix(), source.key) == source.key:
                below = name
                break
        else:
            raise PriemoError(f"two photos would be written to {out / below}; protect them apart")
        path = out / below
        if os.path.realpath(path) in originals or _same_file(path, sources):
            raise PriemoError(f"{path} is one of the photos; give another folder with --out")
        if os.path.lexists(path) and before.get(source.key) != below.as_posix():
            raise PriemoError(f"{path} is there already; give another folder with --out")
        found.append(path)
    return found


def _same_file(path: Path, sources: Sequence[Source]) -> bool:
    """Whether `path` is a photo by another name (a hard link)."""
    try:
        if os.stat(path).st_nlink < 2:
            return False
        return any(os.path.samefile(path, source.path) for source in sources)
    except OSError:
        return False

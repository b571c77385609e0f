"""A process that has torch and ART imported, and forks a `priemo-bench` for each line it reads.

So that a run under test begins in milliseconds, not seconds. Lines of standard input are JSON:

    {"argv": [...], "path": folder, "env": {...}, "log": file, "setup": code}  -> PID
    {"poll": PID}  -> null while it runs, then its exit code (minus the signal that ended it)

Each run leads a process group of its own, and ends as any interpreter does.
"""

import importlib
import json
import os
import pkgutil
import sys
from typing import Any

ROOMS = ("contracts", "data", "defenses", "judge", "metrics", "quality", "report", "run", "testing")


def preload() -> None:
    """Import what a run needs, and nothing that starts threads or reads entry points."""
    for name in ("art.estimators.classification", "seaborn", "scipy.stats", "scipy.optimize"):
        importlib.import_module(name)
    package = importlib.import_module("priemo_bench")
    for module in pkgutil.walk_packages(package.__path__, "priemo_bench."):
        room = module.name.split(".")[1]
        if room in ROOMS and "rendering" not in module.name:
            importlib.import_module(module.name)
    importlib.import_module("priemo_bench.benchmark")


def become(request: dict[str, Any]) -> None:
    """Turn this fork into the command that is asked for."""
    os.setsid()
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream, target in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
        os.dup2(stream, target)
    others = os.environ.get("PYTHONPATH", "")
    os.environ.update(request["env"], PYTHONPATH=f"{request['path']}{os.pathsep}{others}")
    sys.path.insert(0, request["path"])
    sys.argv = ["priemo-bench", *request["argv"]]
    exec(request["setup"], {})
    from priemo_bench.cli import main

    main()


def poll(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def serve() -> None:
    preload()
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            answer = poll(request["poll"])
        elif (answer := os.fork()) == 0:
            return become(request)
        print(json.dumps(answer), flush=True)
    return None


if __name__ == "__main__":
    serve()

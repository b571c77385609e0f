"""How long the whole embedded zoo takes to load: `pytest -m slow -s tests/benchmarks/test_zoo.py`.

Weights are hashed, checked and copied; importing torch and timm is told apart.
"""

import subprocess
import sys

import pytest

LIMIT = 3.0
CODE = """
import time
start = time.perf_counter()
import priemo_bench.victims.timm_victim, priemo_bench.contracts.training
imported = time.perf_counter()
from priemo_bench.victims.zoo import ZOO
for entry in ZOO:
    entry()
print(imported - start, time.perf_counter() - imported, len(ZOO))
"""


@pytest.mark.slow
def test_the_zoo_loads_quickly() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    imports, seconds, n = map(float, done.stdout.split()[-3:])
    print(f"\nimports {imports:.2f} s, {n:.0f} victims {seconds:.2f} s")
    assert seconds < LIMIT


def test_naming_the_zoo_imports_neither_torch_nor_timm() -> None:
    code = "import sys, priemo_bench.victims.zoo as z; print('torch' in sys.modules, len(z.ZOO))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split()[0] == "False"

"""What is published: benchmarks by name and version, their results, perturbations to load.

| file | subject |
|---|---|
| `benchmarks.py`, `benchmarks/` | what each of them fixes, and what of a run departs from it |
| `submission.py`, `submission.schema.json` | the file that a stranger's result is, and its rows |
| `submitting.py` | a run to such a file |
| `checking.py` | whether such a file says what its readings say |
| `results.py` | published tables with what strangers submitted, as DataFrames |
| `perturbations.py`, `perturbations/` | fitted perturbations that anybody can load |
| `croissant.py` | metadata of the rendered data set |
"""

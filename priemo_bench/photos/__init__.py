"""Photos of the user protected: faces found, each protected at its own size, and pasted back.

A photo is read (`photo.py`), its faces are found and get disjoint crops (`faces.py`), each crop is
protected by an attack (`attacking.py`) or by a fitted perturbation (`fitted.py`), all else stays as
it was (`protector.py`). `folder.py` does it for many photos, resumed; `front.py` for one object.
"""

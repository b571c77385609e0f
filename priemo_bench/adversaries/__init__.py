"""Adversaries who know something of the method and have something leaked: what protection is left.

`study.py` says what is studied, `session.py` does it; each adversary has a file of its own.
"""

"""Learned metrics of published images: LPIPS, face detection and face recognition.

The weights of each are installed on request (`priemo-bench install NAME`); a spec names the ones to
compute under `metrics`.
"""

"""Encryption: hides everything from every victim, and from every person without the key.

None of these can keep an image-quality budget; they show what full protection costs.
"""

from priemo_bench.attacks.cryptographic.aes import AESCTR
from priemo_bench.attacks.cryptographic.cat_map import CatMapKey, CatMapLogistic
from priemo_bench.attacks.cryptographic.cipher import Cipher
from priemo_bench.attacks.cryptographic.etc import EtC

__all__ = ["AESCTR", "CatMapKey", "CatMapLogistic", "Cipher", "EtC"]

"""Encryption: hides the whole image, from classifiers and from people without the key.

No cipher can meet an image-quality budget; they show what full protection costs.
"""

from priemo_bench.attacks.cryptographic.aes import AESCTR
from priemo_bench.attacks.cryptographic.cat_map import CatMapKey, CatMapLogistic
from priemo_bench.attacks.cryptographic.cipher import Cipher
from priemo_bench.attacks.cryptographic.etc import EtC

__all__ = ["AESCTR", "CatMapKey", "CatMapLogistic", "Cipher", "EtC"]

"""The expression of each emotion, and the ranges that all other parameters are sampled from.

Fixed before any classifier was evaluated on a picture. A two-sided face unit is named without its
side. Brow and lid units move only a few hundredths of a decimetre, hence weights above one.
"""

EXPRESSIONS: dict[str, dict[str, float]] = {
    "angry": {
        "browDown": 1.5, "noseSneer": 0.5, "mouthFrown": 0.6,
        "eyeSquint": 0.6, "mouthPress": 1.0, "eyeWide": 0.3,
    },
    "disgust": {
        "noseSneer": 1.4, "mouthUpperUp": 1.1, "browDown": 0.6,
        "mouthShrugLower": 0.5, "eyeSquint": 0.9, "mouthFrown": 0.4,
    },
    "fear": {
        "browInnerUp": 1.6, "browOuterUp": 0.5, "eyeWide": 1.3, "mouthStretch": 1.2,
        "jawOpen": 0.3, "browDown": 0.3, "mouthLowerDown": 0.5,
    },
    "happy": {
        "mouthSmile": 1.1, "cheekSquint": 0.8, "eyeSquint": 0.4,
        "mouthUpperUp": 0.5, "jawOpen": 0.15, "mouthDimple": 0.3,
    },
    "sad": {
        "browInnerUp": 1.6, "mouthFrown": 1.2, "browDown": 0.2,
        "mouthShrugLower": 0.5, "eyeBlink": 0.22,
    },
    "surprise": {
        "browInnerUp": 1.3, "browOuterUp": 1.4, "eyeWide": 1.3,
        "jawOpen": 0.75, "mouthFunnel": 0.25,
    },
    "neutral": {},
}  # fmt: skip

ONE_SIDED = frozenset({"browInnerUp", "jawOpen", "mouthShrugLower", "mouthFunnel"})

STRENGTH = (0.75, 1.1)  # of a whole expression
UNIT_STRENGTH = (0.8, 1.1)  # of each unit, both sides together
SIDE_STRENGTH = (0.95, 1.05)  # of one side of a two-sided unit
YAW = (-15.0, 15.0)  # degrees, positive turns the face to the viewer's right
PITCH = (-8.0, 8.0)  # degrees, positive looks up
ROLL = (-3.0, 3.0)
GAZE_YAW = (-12.0, 12.0)
GAZE_PITCH = (-6.0, 6.0)
LIGHT_X = (-0.8, 0.8)  # with z = 1 towards the viewer
LIGHT_Y = (0.1, 0.9)
AMBIENT = (0.32, 0.48)
WARMTH = (-0.06, 0.06)  # red up and blue down by this share
ZOOM = (0.96, 1.05)
SHIFT = (-0.035, 0.035)  # of the picture's width
SOFTNESS = (0.65, 1.2)  # pixels
PLAIN = 0.6  # share of backgrounds without a gradient

ETHNICITIES = ("african", "asian", "caucasian")
MIXED = 0.4  # share of identities that mix two ethnicities
SKINS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "african": ((112, 74, 56), (138, 94, 70), (104, 70, 54), (156, 110, 84)),
    "asian": ((222, 180, 150), (206, 164, 132), (232, 194, 166), (188, 146, 116)),
    "caucasian": ((230, 190, 168), (236, 200, 180), (216, 172, 146), (200, 156, 128)),
}
HAIRS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "african": ((26, 22, 22), (36, 28, 24)),
    "asian": ((28, 24, 26), (44, 34, 30)),
    "caucasian": ((48, 34, 26), (92, 64, 40), (150, 116, 72), (112, 56, 34), (30, 26, 24)),
}
GREY_HAIR = (165, 162, 160)
IRISES = {
    "african": ((58, 38, 28), (74, 48, 32)),
    "asian": ((60, 40, 28), (80, 54, 36)),
    "caucasian": ((70, 50, 40), (88, 110, 130), (84, 104, 74), (100, 120, 140)),
}

# Axes of face shape: the two targets, and the standard deviation of an identity's coordinate on the
# axis (clipped at two). Axes that look like an expression (mouth corners, brow tilt, lid height)
# stay small.
SHAPE_AXES: tuple[tuple[str, str, float], ...] = (
    ("head/head-fat-incr", "head/head-fat-decr", 0.20),
    ("head/head-scale-horiz-incr", "head/head-scale-horiz-decr", 0.20),
    ("head/head-scale-vert-incr", "head/head-scale-vert-decr", 0.25),
    ("head/head-angle-in", "head/head-angle-out", 0.20),
    ("head/head-round", "head/head-rectangular", 0.20),
    ("head/head-oval", "head/head-square", 0.20),
    ("head/head-triangular", "head/head-invertedtriangular", 0.25),
    ("nose/nose-scale-vert-incr", "nose/nose-scale-vert-decr", 0.35),
    ("nose/nose-scale-horiz-incr", "nose/nose-scale-horiz-decr", 0.35),
    ("nose/nose-scale-depth-incr", "nose/nose-scale-depth-decr", 0.35),
    ("nose/nose-hump-incr", "nose/nose-hump-decr", 0.35),
    ("nose/nose-point-up", "nose/nose-point-down", 0.35),
    ("nose/nose-width1-incr", "nose/nose-width1-decr", 0.30),
    ("nose/nose-width3-incr", "nose/nose-width3-decr", 0.30),
    ("nose/nose-volume-incr", "nose/nose-volume-decr", 0.30),
    ("mouth/mouth-scale-horiz-incr", "mouth/mouth-scale-horiz-decr", 0.30),
    ("mouth/mouth-upperlip-height-incr", "mouth/mouth-upperlip-height-decr", 0.35),
    ("mouth/mouth-lowerlip-height-incr", "mouth/mouth-lowerlip-height-decr", 0.35),
    ("mouth/mouth-upperlip-volume-incr", "mouth/mouth-upperlip-volume-decr", 0.35),
    ("mouth/mouth-lowerlip-volume-incr", "mouth/mouth-lowerlip-volume-decr", 0.35),
    ("mouth/mouth-cupidsbow-incr", "mouth/mouth-cupidsbow-decr", 0.30),
    ("mouth/mouth-trans-up", "mouth/mouth-trans-down", 0.20),
    ("mouth/mouth-angles-up", "mouth/mouth-angles-down", 0.12),
    ("chin/chin-height-incr", "chin/chin-height-decr", 0.30),
    ("chin/chin-width-incr", "chin/chin-width-decr", 0.35),
    ("chin/chin-prominent-incr", "chin/chin-prominent-decr", 0.35),
    ("chin/chin-bones-incr", "chin/chin-bones-decr", 0.30),
    ("cheek/?-cheek-volume-incr", "cheek/?-cheek-volume-decr", 0.35),
    ("cheek/?-cheek-bones-incr", "cheek/?-cheek-bones-decr", 0.35),
    ("cheek/?-cheek-inner-incr", "cheek/?-cheek-inner-decr", 0.30),
    ("eyes/?-eye-scale-incr", "eyes/?-eye-scale-decr", 0.25),
    ("eyes/?-eye-trans-in", "eyes/?-eye-trans-out", 0.25),
    ("eyes/?-eye-corner1-up", "eyes/?-eye-corner1-down", 0.25),
    ("eyes/?-eye-eyefold-down", "eyes/?-eye-eyefold-up", 0.25),
    ("eyes/?-eye-bag-incr", "eyes/?-eye-bag-decr", 0.30),
    ("eyes/?-eye-height2-incr", "eyes/?-eye-height2-decr", 0.12),
    ("eyebrows/eyebrows-trans-up", "eyebrows/eyebrows-trans-down", 0.20),
    ("eyebrows/eyebrows-angle-up", "eyebrows/eyebrows-angle-down", 0.12),
    ("forehead/forehead-scale-vert-incr", "forehead/forehead-scale-vert-decr", 0.35),
    ("forehead/forehead-trans-forward", "forehead/forehead-trans-backward", 0.35),
    ("forehead/forehead-temple-incr", "forehead/forehead-temple-decr", 0.35),
    ("ears/?-ear-scale-incr", "ears/?-ear-scale-decr", 0.30),
    ("ears/?-ear-wing-incr", "ears/?-ear-wing-decr", 0.30),
    ("neck/neck-scale-horiz-incr", "neck/neck-scale-horiz-decr", 0.30),
)

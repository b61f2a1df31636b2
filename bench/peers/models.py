# SPDX-License-Identifier: Apache-2.0
"""The models that are timed."""
import json
import pathlib
import shutil
import subprocess

import numpy as np
from safetensors.numpy import load_file, save_file

SHAPES = {
    "deit-tiny": "224,16,3,192,12,3,768",
    "vit-base": "224,16,3,768,12,12,3072",
}
NAMES = ["fashion-vit", *SHAPES]
CLASSES = 1000


def folder_of(name, pare, source, cache):
    """The Hugging Face folder of a model: the shipped one, or random weights, made once."""
    if name not in SHAPES:
        return pathlib.Path(source) / "share/models" / name
    folder = pathlib.Path(cache) / "models" / name
    if folder.exists():
        return folder
    new = folder.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([pare, "model", "new", "--family", "vit", "--shape", SHAPES[name], "-o", new],
                   check=True, stdout=subprocess.DEVNULL)
    widen_classifier(new)
    new.rename(folder)
    return folder


def widen_classifier(folder):
    """`pare model new` makes 10 classes; ImageNet has 1000."""
    tensors = load_file(folder / "model.safetensors")
    width = tensors["classifier.weight"].shape[1]
    random = np.random.default_rng(1)
    tensors["classifier.weight"] = random.normal(0, 0.02, (CLASSES, width)).astype(np.float32)
    tensors["classifier.bias"] = np.zeros(CLASSES, np.float32)
    save_file(tensors, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    config["num_labels"] = CLASSES
    (folder / "config.json").write_text(json.dumps(config))


def images(folder, batch, file):
    """Random images, the same for every engine."""
    config = json.loads((pathlib.Path(folder) / "config.json").read_text())
    shape = [batch, config["num_channels"], config["image_size"], config["image_size"]]
    np.random.default_rng(7).normal(0, 1, shape).astype(np.float32).tofile(file)

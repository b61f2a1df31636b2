# SPDX-License-Identifier: Apache-2.0
"""The files that are compared: one model in three encodings of GGUF, and the same weights as f32."""
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
ENCODINGS = ["Q8_0", "Q4_0", "Q4_1"]
DERIVE = """\
pare: 1
name: derive
model: {model}
data: {{evaluate: {{from: {text}, window: 64, samples: 1}}}}
stages: [{{plugin: quantize, optional: true, with: {{bits: [8, 4], group_size: 32, activations: int8}}}}]
measure: {{perplexity: {{}}}}
"""


class PareError(Exception):
    pass


class Pare:
    """The program that was built, and a database."""

    def __init__(self, a, db=None):
        self.program, self.db = pathlib.Path(a.build) / "pare", db
        self.env = os.environ | {"PARE_PLUGIN_PATH": str(pathlib.Path(a.build).resolve() / "plugins")}

    def __call__(self, *words, quiet=True):
        """What the command prints; PareError: what it says is wrong. `quiet`: only then."""
        command = [str(word) for word in (self.program, *words, *(["--db", self.db] if self.db else []))]
        done = subprocess.run(command, env=self.env, text=True, stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.PIPE if quiet else None)
        if done.returncode:
            raise PareError(f"{' '.join(command[:3])}: {(done.stderr or '').strip() or 'failed'}")
        return done.stdout

    def json(self, *words):
        return json.loads(self(*words, "--format", "json"))


def derive(a):
    """Files by encoding, and "HF", a folder in f32, made anew: ten seconds, 0.8 GB."""
    folder = pathlib.Path(a.cache) / "text"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"models from {a.smollm2} in {folder}", file=sys.stderr)
    recipe, db = folder / "derive.yaml", folder / "derive.db"
    recipe.write_text(DERIVE.format(model=json.dumps(str(pathlib.Path(a.smollm2).resolve())),
                                    text=json.dumps(str(text_of(a)))))
    db.unlink(missing_ok=True)
    pare = Pare(a, db)
    pare("run", recipe, "--no-latency", "--quiet")
    files = {"Q4_1": pathlib.Path(a.smollm2), "HF": folder / "HF"}
    for label, encoding in (("q8", "Q8_0"), ("q4", "Q4_0")):
        pare("export", label, "--gguf", "--force", "-o", folder / encoding)
        files[encoding] = folder / encoding / "model.gguf"
    if a.torch_python:
        pare("export", "baseline", "--hf", "--decode", "--force", "-o", files["HF"])
    return files


def widen(a, file):
    """The same weights as F32, by llama.cpp itself; the file lasts until the next one."""
    wide = pathlib.Path(a.cache) / "text/F32.gguf"
    subprocess.run([sys.executable, HERE / "export_f32.py", file, wide], check=True)
    return wide


def text_of(a, split="test"):
    return pathlib.Path(a.source) / f"share/data/alice/{split}.txt"

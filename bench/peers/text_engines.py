# SPDX-License-Identifier: Apache-2.0
"""Engines that read texts, by name, and their tokens and outputs."""
import pathlib
import sys
import tempfile

import numpy as np

from engines import Engine, best_of

HERE = pathlib.Path(__file__).parent
# At its best: all that decides which of llama.cpp's kernels run.
LLAMA_FORMS = [("flash=on", "repack=1"), ("flash=off", "repack=1"), ("flash=on", "repack=0"), ("flash=off", "repack=0")]
LLAMA_PARTS = [("flash=on", "repack=1", "ubatch=128"), ("flash=on", "repack=0", "ubatch=128")]


class Texts:
    """Starts engines for one shape: words of bench/serve_text.c."""

    def __init__(self, a, threads, tokens, depth=0, phase="prefill", outputs="last"):
        self.a, self.threads, self.phase, self.tokens = a, threads, phase, tokens
        self.words = [f"threads={threads}", f"tokens={tokens}", f"depth={depth}", f"phase={phase}",
                      f"outputs={outputs}"]

    def pare(self, model, name="pare"):
        return Engine(name, [pathlib.Path(self.a.build) / "bench/serve_text", model, *self.words], self.threads)

    def llama(self, file, *form, name="llama.cpp"):
        return Engine(name, [sys.executable, HERE / "serve_llama.py", file, *self.words, *form], self.threads)

    def best_llama(self, file):
        forms = LLAMA_FORMS + (LLAMA_PARTS if self.phase == "prefill" and self.tokens > 128 else [])
        return best_of([self.llama(file, *form) for form in forms])

    def transformers(self, folder, *form, name="transformers"):
        return Engine(name, [self.a.torch_python, HERE / "serve_transformers.py", folder, *self.words, *form],
                      self.threads)

    def best_transformers(self, folder):
        return best_of([self.transformers(folder, f"type={kind}") for kind in ("float32", "bfloat16")])

    def read(self, size):
        """The machine, reading a buffer of this size."""
        return Engine("rate read", [pathlib.Path(self.a.build) / "bench/rates", "read", self.threads, size],
                      self.threads)


def bytes_per_token(about, tokens, depth):
    """What decoding a token reads, on average: the packed weights, and the keys and values there are by then."""
    return about["weights"] + round(about["cache"] * (depth + (tokens + 1) / 2) / (depth + tokens))


def tokens_of(engine, text):
    """A text as an engine's tokenizer has it."""
    with tempfile.TemporaryDirectory() as folder:
        engine.ask(f"tokens {text} {folder}/tokens")
        return np.fromfile(f"{folder}/tokens", np.float32)


def outputs_of(engine, ids):
    """Outputs of an engine for some ids, one row or one for each token, in f32."""
    with tempfile.TemporaryDirectory() as folder:
        np.asarray(ids, np.float32).tofile(f"{folder}/input")
        engine.ask(f"input {folder}/input", f"output {folder}/output")
        return np.fromfile(f"{folder}/output", np.float32)

# SPDX-License-Identifier: Apache-2.0
"""Pare beside llama.cpp and transformers on language models: see bench/README.md."""
import argparse

import rounds
from text_models import ENCODINGS

WHAT = ["truth", "speed", "memory", "front"]
SHAPES = {"prefill128": ("prefill", 128, 0), "prefill512": ("prefill", 512, 0),
          "decode16": ("decode", 64, 16), "decode512": ("decode", 64, 512)}  # phase, tokens, depth


def arguments():
    p = argparse.ArgumentParser(prog="bench/text.sh", description=__doc__,
                                epilog="Of the script itself: --build DIR, --no-torch")
    p.add_argument("--what", default=",".join(WHAT), help="truth: logits, perplexity, embeddings; speed: tokens per "
                   "second; memory: at its peak; front: pipelines/smollm2.yaml, and its pick in llama.cpp")
    p.add_argument("--encodings", default=",".join(ENCODINGS))
    p.add_argument("--shapes", default=",".join(SHAPES), help="of speed")
    p.add_argument("--threads", default="1,2")
    p.add_argument("--windows", type=int, default=0, help="of perplexity, at most")
    rounds.add_options(p, budget=120)
    a = rounds.parse(p, ("build", "source", "cache", "torch_python", "smollm2", "minilm"))
    for given, known in ((a.what, WHAT), (a.encodings, ENCODINGS), (a.shapes, SHAPES)):
        for word in given.split(","):
            if word not in known:
                p.error(f"'{word}' is none of {', '.join(known)}")
    a.most_threads = max(int(threads) for threads in a.threads.split(","))
    if a.quick:
        a.windows = a.windows or 4
    return a


if __name__ == "__main__":  # --help, before anything is installed
    arguments()

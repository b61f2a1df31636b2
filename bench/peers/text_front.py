# SPDX-License-Identifier: Apache-2.0
"""A whole pipeline: its front, and what its pick is worth in llama.cpp."""
import pathlib
import sys

from text_models import Pare, PareError
from text_truth import perplexities


def hand_over(pare, labels, folder):
    """The first of the labels that GGUF can hold, its file, and why those before were not."""
    refused = []
    for label in labels:
        try:
            pare("export", label, "--gguf", "--force", "-o", folder)
            return label, folder / "model.gguf", refused
        except PareError as error:
            if "not representable" not in str(error):
                raise
            refused.append({"label": label, "why": str(error).split("not representable in GGUF ")[-1].splitlines()[0]})
    return None, None, refused


def measure(a):
    folder = pathlib.Path(a.cache) / "text"
    folder.mkdir(parents=True, exist_ok=True)
    pare = Pare(a, folder / "smollm2.db")
    pipeline = pathlib.Path(a.source) / "pipelines/smollm2.yaml"
    few = ["--rounds", 6, "--session-time", 240, *(["--set", "data.evaluate.samples=6"] if a.quick else [])]
    pare("run", pipeline, "--set", f"model={pathlib.Path(a.smollm2).resolve()}", *few, quiet=False)
    lines = pare.json("front")
    picked = pare.json("pick", "--min", "size_bytes")[0]["label"]
    print(f"picked: {picked}", file=sys.stderr)
    others = [line["label"] for line in sorted(lines, key=lambda line: line["size_bytes"])
              if line["status"] in ("sure", "front") and line["label"] != picked]
    label, file, refused = hand_over(pare, [picked, *others], folder / "picked")
    result = {"lines": lines, "picked": picked, "refused": refused, "handed": label}
    if label:
        # By its hash: a label could be the name of a folder here.
        variant = next(line["variant"] for line in lines if line["label"] == label)
        result["perplexity"] = perplexities(a, variant, file, pare)
    return result

# SPDX-License-Identifier: Apache-2.0
"""Times Pare and its peers in turn: see bench/README.md."""
import argparse
import itertools
import pathlib
import sys
import tempfile

import numpy as np

import models
import report
import rounds
from engines import ENCODINGS, RATES, EngineError, Maker
from export_onnx import export

TOLERANCE = 1e-4  # of f32 logits between engines, of the largest logit
PEERS = ["onnxruntime f32", "onnxruntime int8", "torch", "torch avx2"]
PARE = [f"pare {encoding}" for encoding in ENCODINGS] + ["pare f32 avx2"]
SPARSE = ["pare f32", "pare int8", "pare 2:4", "pare 4:8", "pare 2:4-int8"] + \
    [f"pare f32 density={percent}" for percent in (50, 40, 30, 20, 10)]
CHANGES = {
    "fashion-vit": ["drop=2", "drop=4", "heads=2", "heads=1", "channels=144", "merge=4"],
    "deit-tiny": ["drop=3", "drop=6", "heads=2", "heads=1", "channels=384", "merge=8", "merge=13"],
    "vit-base": ["drop=3", "drop=6", "heads=9", "heads=6", "channels=1536", "merge=8", "merge=13"],
}


def arguments():
    p = argparse.ArgumentParser(prog="bench/peers.sh", description=__doc__)
    p.add_argument("--models", default=",".join(models.NAMES))
    p.add_argument("--batches", default="1,32")
    p.add_argument("--threads", default="1,2")
    p.add_argument("--engines", default="all", help="of peers: 'pare f32,onnxruntime', ...")
    p.add_argument("--what", default="peers,structure,sparse", help="peers: peers and own encodings; "
                   "structure: layers dropped, heads and channels removed, tokens merged; "
                   "sparse: densities; the last two at batch 1 on one thread")
    rounds.add_options(p, budget=240)
    return rounds.parse(p, ("build", "source", "cache", "torch_python"))


def wanted(a, what, model):
    """Names of the engines that are timed for `what`."""
    names = {
        "peers": PARE + PEERS + [f"rate {kind}" for kind in RATES],
        "structure": ["pare f32"] + [f"pare f32 {change}" for change in CHANGES[model]],
        "sparse": SPARSE + [f"{name} avx2" for name in SPARSE],
    }[what]
    if what == "peers" and a.engines != "all":
        chosen = [part.strip() for part in a.engines.split(",")]
        names = [n for n in names if n in chosen or n.split()[0] in chosen]
    return [n for n in names if a.torch_python or not n.startswith("torch")]


def logits(engine, folder):
    file = pathlib.Path(folder) / "logits"
    engine.ask(f"input {folder}/images", f"output {file}")
    return np.fromfile(file, np.float32).astype(np.float64)


def compare(engines, scratch):
    """Relative error of every engine's logits; those in f32 must agree."""
    outputs = {e.name: logits(e, scratch) for e in engines if not e.name.startswith("rate")}
    truth = outputs.get("pare f32", next(iter(outputs.values())))
    errors = {}
    for name, y in outputs.items():
        if "=" in name or ":" in name:
            continue
        exact = "int" not in name
        off = np.abs(y - truth).max() / np.abs(truth).max()
        errors[name] = float(off if exact else np.linalg.norm(y - truth) / np.linalg.norm(truth))
        if exact and not off <= TOLERANCE:
            raise EngineError(f"logits of {name} differ by {off:.2g} of the largest")
    return errors


def time_setting(a, what, model, batch, threads):
    folder = models.folder_of(model, pathlib.Path(a.build) / "pare", a.source, a.cache)
    names = wanted(a, what, model)
    files = {}
    if any(n.startswith("onnxruntime") for n in names):
        files = export(folder, pathlib.Path(a.cache) / "onnx" / model)
    maker = Maker(a.build, folder, files, a.torch_python, batch, threads)
    engines = []
    with tempfile.TemporaryDirectory() as scratch:
        models.images(folder, batch, f"{scratch}/images")
        try:
            for name in names:
                engine = maker.start(name)
                engines.append(engine)
                if "absent" in engine.about:
                    engines.pop().close()
            errors = compare(engines, scratch)
            rounds.visit_all(a, engines, f"{what}: {model}, batch {batch}, {threads} threads",
                             lambda e: e.profile() if what == "sparse" else None)
        finally:
            for e in engines:
                e.close()
    return {
        "what": what, "model": model, "batch": batch, "threads": threads,
        "engines": {e.name: {"about": e.about, "error": errors.get(e.name), "times": e.times,
                             "others": e.others, "nodes": e.nodes}
                    for e in engines},
    }


def main():
    a = arguments()
    data = rounds.begin(a, report.host(a, "bench/peers.sh"))
    done = {(s["what"], s["model"], s["batch"], s["threads"]) for s in data["settings"]}
    settings = itertools.product(a.what.split(","), a.models.split(","), a.batches.split(","), a.threads.split(","))
    for what, model, batch, threads in settings if not a.again else ():
        if what != "peers" and (batch, threads) != ("1", "1"):
            continue
        if (what, model, int(batch), int(threads)) in done:
            continue
        data["settings"].append(time_setting(a, what, model, int(batch), int(threads)))
        rounds.keep(a, data)
    rounds.publish(a, report.markdown(data, TOLERANCE))


if __name__ == "__main__":
    try:
        main()
    except EngineError as error:
        sys.exit(f"bench/peers: {error}")

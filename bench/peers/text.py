# SPDX-License-Identifier: Apache-2.0
"""Pare beside llama.cpp and transformers on language models: see bench/README.md."""
import itertools
import pathlib
import sys

import numpy as np

import report
import rounds
import text_front
import text_report
import text_truth
from engines import EngineError
from text_engines import Texts, bytes_per_token, outputs_of, tokens_of
from text_models import Pare, PareError, derive, text_of
from text_options import SHAPES, arguments

MEMORY = ("decode", 64, 512)
FAR = 0.5  # of logits from Pare's, RMS: further off it is another model; inputs of 8 bits move some tokens by 0.25


def compare(engines, ids):
    """RMS error of every engine's last logits, of Pare's; what reads another model is found here."""
    outputs = {e.name: outputs_of(e, ids).astype(np.float64) for e in engines if not e.name.startswith("rate")}
    errors = {name: float(np.linalg.norm(y - outputs["pare"]) / np.linalg.norm(outputs["pare"]))
              for name, y in outputs.items()}
    for name, error in errors.items():
        if not error <= FAR:
            raise EngineError(f"logits of {name} differ by {error:.2g} of Pare's")
    return errors


def time_setting(a, files, encoding, shape, threads):
    phase, tokens, depth = SHAPES[shape]
    texts = Texts(a, threads, tokens, depth, phase)
    engines = []
    try:
        engines.append(texts.pare(files[encoding]))
        ids = tokens_of(engines[0], text_of(a))[:depth + tokens]
        engines.append(texts.best_llama(files[encoding]))
        if a.torch_python and encoding == "Q4_1":  # whose weights they are
            engines.append(texts.best_transformers(files["HF"]))
        engines.append(texts.read(bytes_per_token(engines[0].about, tokens, depth)))
        errors = compare(engines, ids)
        rounds.visit_all(a, engines, f"speed: {encoding}, {phase} {tokens} behind {depth}, {threads} threads")
    finally:
        for e in engines:
            e.close()
    return {"what": "speed", "model": encoding, "shape": shape, "phase": phase, "tokens": tokens, "depth": depth,
            "batch": 1, "threads": threads,
            "engines": {e.name: {"about": e.about, "error": errors.get(e.name), "times": e.times, "others": e.others,
                                 "nodes": []} for e in engines}}


def time_all(a, data, files):
    done = {(s["model"], s["shape"], s["threads"]) for s in data["settings"]}
    for encoding, shape, threads in itertools.product(a.encodings.split(","), a.shapes.split(","),
                                                      map(int, a.threads.split(","))):
        if (encoding, shape, threads) not in done:
            data["settings"].append(time_setting(a, files, encoding, shape, threads))
            rounds.keep(a, data)


def peak(engine):
    """Peak resident bytes of an engine's process."""
    status = pathlib.Path(f"/proc/{engine.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def memory(a, files, encoding):
    phase, tokens, depth = MEMORY
    print(f"memory: {encoding}", file=sys.stderr)
    said = Pare(a).json("bench", files[encoding], "--phase", phase, "--tokens", tokens, "--depth", depth,
                        "--visits", 6)
    texts = Texts(a, 1, tokens, depth, phase)
    pare, llama = texts.pare(files[encoding]), texts.llama(files[encoding])
    about = {"encoding": encoding, "peak": said["peak_rss_bytes"], "weights": pare.about["weights"],
             "cache": pare.about["cache"], "tokens": tokens, "depth": depth}
    outputs_of(llama, tokens_of(llama, text_of(a))[:depth + tokens])
    about |= {"llama": peak(llama), "llama_before": llama.about["resident_before"]}
    for e in (pare, llama):
        e.close()
    return about


def measure(a, data):
    wanted = a.what.split(",")
    if any(what != "front" for what in wanted):
        files = derive(a)
    if "truth" in wanted:
        text_truth.measure(a, data, files)
    if "speed" in wanted:
        time_all(a, data, files)
    if "memory" in wanted and "memory" not in data:
        data["memory"] = [memory(a, files, encoding) for encoding in a.encodings.split(",")]
        rounds.keep(a, data)
    if "front" in wanted and "front" not in data:
        data["front"] = text_front.measure(a)
        rounds.keep(a, data)


def main():
    a = arguments()
    data = rounds.begin(a, report.host(a, "bench/text.sh"))
    if not a.again:
        measure(a, data)
    rounds.publish(a, text_report.markdown(data))


if __name__ == "__main__":
    try:
        main()
    except (EngineError, PareError) as error:
        sys.exit(f"bench/text: {error}")

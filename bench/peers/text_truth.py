# SPDX-License-Identifier: Apache-2.0
"""Whether engines say the same: logits, perplexity, embeddings."""
import math
import sys
import tempfile

import numpy as np

import rounds
from text_engines import Texts, outputs_of, tokens_of
from text_models import Pare, text_of, widen

WINDOW = 512
SPAN, SPANS = 256, (0, 5000)  # tokens of a stretch whose logits are compared; where they begin
LENGTHS, SENTENCES = (8, 32, 128, 256), 6  # of texts that are embedded, tokens; how many of each


EXACT, PEER, OWN = "llama.cpp, its F32 of these weights", "llama.cpp", "pare"  # ways to the logits
WIDE = "F32"  # of Q4_1: a model of which nothing is rounded


def ways(a, files, encoding):
    """Functions that start an engine, by name."""
    whole = Texts(a, a.most_threads, SPAN, outputs="all")
    steps = Texts(a, a.most_threads, SPAN, phase="decode", outputs="all")
    file = files[encoding]
    found = {
        EXACT: lambda: whole.llama(widen(a, file)),
        PEER: lambda: whole.llama(file),
        "llama.cpp, no flash attention": lambda: whole.llama(file, "flash=off"),
        "llama.cpp, as stored": lambda: whole.llama(file, "repack=0"),
        "llama.cpp, token by token": lambda: steps.llama(file),
        OWN: lambda: whole.pare(file),
        "pare, token by token": lambda: steps.pare(file),
    }
    if encoding == "Q4_1" and a.torch_python:
        found["transformers, f32 of these weights"] = lambda: whole.transformers(files["HF"])
    return found


def distance(y, truth):
    """Of logits by token: RMS (and its square by token) and largest, of the truth's RMS; the share of tokens whose
    likeliest is the same."""
    size = math.sqrt(np.mean(truth ** 2, dtype=np.float64))
    squares = np.mean((y - truth) ** 2, axis=1, dtype=np.float64) / size ** 2
    return {"rms": math.sqrt(squares.mean()),
            "squares": squares.tolist(),
            "largest": float(np.abs(y - truth).max()) / size,
            "agreement": float(np.mean(y.argmax(1) == truth.argmax(1)))}


def logits(a, files, encoding):
    """Of every way, how far it is from llama.cpp as it comes, and in F32; and how many tokens were read."""
    found, references, ids = {}, {}, None
    for name, start in ways(a, files, encoding).items():
        print(f"logits of {encoding}: {name}", file=sys.stderr)
        engine = start()
        ids = tokens_of(engine, text_of(a)) if ids is None else ids
        y = np.concatenate([outputs_of(engine, ids[at:at + SPAN]) for at in SPANS]).reshape(SPAN * len(SPANS), -1)
        engine.close()
        if name in (EXACT, PEER):
            references[name] = y
        found[name] = {of: distance(y, truth) for of, truth in references.items()}
    found[EXACT][PEER] = distance(references[EXACT], references[PEER])
    return {"tokens": SPAN * len(SPANS), "ways": found}


def llama_perplexity(a, file, *form):
    """As llama.cpp's program for it: windows that follow each other, the second half counts."""
    engine = Texts(a, a.most_threads, WINDOW, outputs="all").llama(file, *form)
    ids = tokens_of(engine, text_of(a))
    windows = min(len(ids) // WINDOW, a.windows or len(ids))
    half, losses = WINDOW // 2, []
    for i in range(windows):
        print(f"\rperplexity by llama.cpp: window {i + 1} of {windows}", end="", file=sys.stderr)
        window = ids[i * WINDOW:(i + 1) * WINDOW].copy()
        if engine.about["bos"] is not None:
            window[0] = engine.about["bos"]
        y = outputs_of(engine, window).reshape(WINDOW, -1)[half:-1].astype(np.float64)
        top = y.max(1, keepdims=True)
        sums = np.log(np.exp(y - top).sum(1)) + top[:, 0]
        losses.append(float((sums - y[np.arange(len(y)), window[half + 1:].astype(int)]).mean()))
    print(file=sys.stderr)
    engine.close()
    return {"perplexity": math.exp(np.mean(losses)), "n": len(losses) * (half - 1), "windows": losses}


def pare_perplexity(a, model, pare=None):
    with tempfile.NamedTemporaryFile(suffix=".npy") as tokens:
        said = (pare or Pare(a)).json("eval", model, "--text", text_of(a), "--window", WINDOW, "--method", "llama.cpp",
                                      "--nll", tokens.name, "--force",
                                      *(["--samples", a.windows] if a.windows else []))
        windows = np.load(tokens.name).astype(np.float64).reshape(-1, WINDOW // 2 - 1).mean(1)
    return {"perplexity": said["perplexity"], "n": said["n"], "error": said["perplexity_error"],
            "windows": windows.tolist()}


def perplexities(a, model, file, pare=None):
    """Of a model by Pare, and of its GGUF file by llama.cpp, in two ways that tell how near two can be."""
    return {"pare": pare_perplexity(a, model, pare), "llama.cpp": llama_perplexity(a, file),
            "no flash attention": llama_perplexity(a, file, "flash=off")}


def embeddings(a):
    """Passages of a text, by Pare and by transformers, of every length."""
    rows = []
    for length in LENGTHS:
        print(f"embeddings of {length} tokens", file=sys.stderr)
        texts = Texts(a, a.most_threads, length)
        engines = [texts.pare(a.minilm), texts.transformers(a.minilm, "embed=1")]
        ids = [tokens_of(engine, text_of(a)) for engine in engines]
        alike = np.array_equal(*ids)
        first, *rest, last = ids[1]
        passages = [[first, *rest[i * length:i * length + length - 2], last] for i in range(SENTENCES)]
        off, cosine = 0.0, 0.0
        for passage in passages:
            x, y = (outputs_of(engine, passage).astype(np.float64) for engine in engines)
            off = max(off, float(np.abs(x - y).max()))
            cosine = max(cosine, float(1 - x @ y / np.linalg.norm(x) / np.linalg.norm(y)))
        rows.append({"length": length, "texts": len(passages), "largest": off, "cosine": cosine,
                     "tokens_alike": alike, "engine": engines[1].about["engine"]})
        for engine in engines:
            engine.close()
    return rows


def measure(a, data, files):
    truth = data.setdefault("truth", {"logits": {}, "perplexity": {}, "embeddings": []})
    encodings = a.encodings.split(",")
    for encoding in encodings:
        if encoding not in truth["logits"]:
            truth["logits"][encoding] = logits(a, files, encoding)
            rounds.keep(a, data)
        if encoding not in truth["perplexity"]:
            truth["perplexity"][encoding] = perplexities(a, files[encoding], files[encoding])
            rounds.keep(a, data)
    if "Q4_1" in encodings and WIDE not in truth["perplexity"]:
        wide = widen(a, files["Q4_1"])
        truth["perplexity"][WIDE] = perplexities(a, wide, wide)
        rounds.keep(a, data)
    if a.torch_python and not truth["embeddings"]:
        truth["embeddings"] = embeddings(a)
        rounds.keep(a, data)

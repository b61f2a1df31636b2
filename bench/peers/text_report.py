# SPDX-License-Identifier: Apache-2.0
"""A comparison of language models as markdown."""
import math

from report import engines_of, opening, sections, show, table, targets
from stats import Setting, interval, mean_interval, root_ratio
from targets import Target
from text_engines import bytes_per_token
from text_models import ENCODINGS
from text_truth import EXACT, OWN, PEER, WIDE

ROOM = 64 << 20  # bytes that a process may take beside weights and cache
NOISE = math.sqrt(2)  # two independent roundings of the inputs are so much further apart than each from none
NOTES = """\
SmolLM2-135M-Instruct, the same GGUF files for all: Q4_1 as it is published, Q8_0 and Q4_0 derived from it by
`pare run` and `pare export --gguf` (the embedding, which is also the head, stays Q8_0 in all). Above 1, Pare is
faster. Every engine is a process of its own, stopped while another is timed; each round visits all of
them in a new random order, warmed up anew, and nothing is dropped. A figure is the median over the
rounds of the ratio within a round, with the order statistics that hold it with 95 %. A target is *met*
when the whole interval reaches it, *missed* when none of it does, and *undecided* between. Of llama.cpp
the fastest of its forms counts: flash attention or not, weights repacked or as stored, parts of 512 or,
in long prompts, 128 tokens. Its keys and values are f16, as it has them by default.
"""
SPEED_NOTES = """\
Prefill: a prompt read at once; decode: tokens read one by one, as generated, behind so many others. Read: of the
rate at which as many threads read a buffer of the bytes that a token needs (packed weights, and the keys and
values there are by then, on average), in the same round, what decoding reaches with these bytes, as
[model bandwidth utilization](https://www.databricks.com/blog/llm-inference-performance-engineering-best-practices)
counts them; and with the weights alone.
"""
LOGITS_NOTES = """\
Each way to the logits of {} tokens of the shipped text (share/data/alice), beside llama.cpp as it comes:
difference in the 2-norm and at most, of the root mean square of the logits; how often the likeliest
token is the same; and the difference from llama.cpp over the same weights written out as F32 by itself. What
llama.cpp differs from itself by is the noise of inputs rounded to 8 bits; two that are as independent of
each other as each is of F32 are 1.41 times as far apart.
"""
PERPLEXITY_NOTES = """\
Windows of 512 tokens of the shipped text, the second half of each counts, as in llama.cpp's own program.
Differences are without sign, between the bounds that hold them with 95 %: windows are paired. F32 is the file
Q4_1 widened by llama.cpp: neither program rounds anything then. Of the others both round inputs to 8 bits, each in
its own way, and a text of this length tells no better than the bounds say which perplexity is which.
"""
EMBEDDING_NOTES = """\
all-MiniLM-L6-v2 in f32, passages of the shipped text: the largest difference of a coordinate (vectors
have length 1), and cosine distance. Tokens are the same where each program has its own tokenizer.
"""
MEMORY_NOTES = """\
Peak resident memory of `pare bench --phase decode` (64 tokens behind 512, one thread), beside the weights as they
are packed to be executed, the cache of keys and values, and 64 MB. llama.cpp's is that of a process that
decodes as much, less what Python had taken before the model was loaded; the file is mapped.
"""
FRONT_NOTES = """\
`pare run pipelines/smollm2.yaml`, and its smallest (`pare pick --min size_bytes`), exported with
`pare export --gguf`; where GGUF cannot hold that, the next smallest of the front. The pipeline's own perplexity
counts all tokens of its windows; that of the pick, below, is by llama.cpp's method.
"""


class Shape(Setting):
    """A model, a phase and a number of threads."""

    def __init__(self, raw):
        super().__init__(raw)
        self.phase, self.tokens, self.depth = raw["phase"], raw["tokens"], raw["depth"]
        self.name = f"{self.model} | {self.phase} {self.tokens} behind {self.depth} | {self.threads}"

    def per_second(self, name):
        return interval([self.tokens * 1e9 / t for t in self.rounds[name]])

    def bytes_per_token(self):
        return bytes_per_token(self.engines["pare"]["about"], self.tokens, self.depth)

    def read_share(self, size):
        """Of the rate of reading, what so many bytes per token are read at."""
        work = size * self.tokens
        rate = self.about("rate read", "work")
        return interval([work / own / (rate / machine)
                         for own, machine in zip(self.rounds["pare"], self.rounds["rate read"])])


def exactly(value):
    return value, value, value


# ---- targets: figures of all data, as pairs of where and what ----

def speed_of(phase, encodings):
    def figures(data):
        for s in data["shapes"]:
            if s.phase == phase and s.model in encodings:
                yield s.name, s.ratio("llama.cpp", "pare")
    return figures


def read_of(encodings, threads):
    def figures(data):
        for s in data["shapes"]:
            if s.phase == "decode" and s.model in encodings and s.threads == threads:
                yield s.name, s.read_share(s.bytes_per_token())
    return figures


def rms(data, own, truth, beside, beside_truth):
    """A distance of logits, of another, and where the ratio lies with 95 %: tokens are paired."""
    for encoding, found in data.get("truth", {}).get("logits", {}).items():
        ways = found["ways"]
        yield encoding, root_ratio(ways[own][truth]["squares"], ways[beside][beside_truth]["squares"])


def apart(data):
    return rms(data, OWN, PEER, PEER, EXACT)


def exactness(data):
    return rms(data, OWN, EXACT, PEER, EXACT)


def perplexity_off(both, one="pare", other="llama.cpp"):
    """By how much two perplexities differ, without sign, and between which bounds with 95 %: windows are paired."""
    one, two = both[one]["windows"], both[other]["windows"]
    middle, low, high = (math.expm1(x) for x in mean_interval([x - y for x, y in zip(one, two)]))
    return abs(middle), max(low, -high, 0), max(-low, high)


def perplexities_of(encodings):
    def figures(data):
        for encoding, both in data.get("truth", {}).get("perplexity", {}).items():
            if encoding in encodings:
                yield encoding, perplexity_off(both)
    return figures


def picked(data):
    front = data.get("front", {})
    if "perplexity" in front:
        yield front["handed"], perplexity_off(front["perplexity"])


def embedded(field):
    def figures(data):
        for row in data.get("truth", {}).get("embeddings", []):
            yield f"{row['length']} tokens", exactly(row[field])
    return figures


def held(row):
    return row["weights"] + row["cache"] + ROOM


def memory_of(data):
    for row in data.get("memory", []):
        yield row["encoding"], exactly(row["peak"] / held(row))


FOUR_BITS = ["Q4_0", "Q4_1"]
TARGETS = [
    Target("logits: Pare from llama.cpp, of llama.cpp from its own F32", NOISE, apart, most=True),
    Target("logits: Pare from llama.cpp's F32, of llama.cpp from it", 1.0, exactness, most=True),
    Target("perplexity: difference from llama.cpp's, both in f32", 0.001, perplexities_of([WIDE]), most=True,
           form="{:.3%}"),
    Target("perplexity: difference from llama.cpp's, inputs rounded to 8 bits", 0.001, perplexities_of(ENCODINGS),
           most=True, form="{:.3%}"),
    Target("embeddings: largest difference from transformers'", 1e-4, embedded("largest"), most=True, form="{:.1e}"),
    Target("embeddings: cosine distance from transformers'", 1e-4, embedded("cosine"), most=True, form="{:.1e}"),
    Target("prefill beside llama.cpp", 1.0, speed_of("prefill", ENCODINGS)),
    Target("decode beside llama.cpp", 1.0, speed_of("decode", ENCODINGS)),
    Target("decode, 8 bits, one thread: share of the read rate", 0.8, read_of(["Q8_0"], 1)),
    Target("decode, 4 bits, one thread: share of the read rate", 0.6, read_of(FOUR_BITS, 1)),
    Target("decode, 4 bits, two threads: share of the read rate", 0.7, read_of(FOUR_BITS, 2)),
    Target("peak memory, of weights + cache + 64 MB", 1.15, memory_of, most=True),
    Target("the front's pick: difference of its perplexity in llama.cpp", 0.001, picked, most=True, form="{:.3%}"),
]


# ---- tables ----

def speeds(shapes):
    rows = []
    for s in shapes:
        read = [show(s.read_share(size)) if s.phase == "decode" else "-"
                for size in (s.bytes_per_token(), s.about("pare", "weights"))]
        rows.append([s.name, f"{s.per_second('pare')[0]:.0f}", f"{s.per_second('llama.cpp')[0]:.0f}",
                     show(s.ratio("llama.cpp", "pare")), s.about("llama.cpp", "form"), *read, f"{s.others():.2f}"])
    return table(["model", "phase", "threads", "Pare, tokens/s", "llama.cpp, tokens/s", "Pare / llama.cpp",
                  "llama.cpp's form", "read", "weights alone", "CPUs taken by others"], rows)


def transformers(shapes):
    rows = [[s.name, s.about("transformers", "form"), f"{s.per_second('pare')[0]:.0f}",
             f"{s.per_second('transformers')[0]:.0f}", show(s.ratio("transformers", "pare"))]
            for s in shapes if s.has("transformers")]
    return table(["model", "phase", "threads", "its form", "Pare, tokens/s", "transformers, tokens/s",
                  "Pare / transformers"], rows)


def logits(truth):
    rows = []
    for encoding, found in truth.get("logits", {}).items():
        for name, row in found["ways"].items():
            near = row[PEER]
            rows.append([encoding, name, f"{near['rms']:.1e}", f"{near['largest']:.1e}",
                         f"{100 * near['agreement']:.1f} %", f"{row[EXACT]['rms']:.1e}"])
    return table(["model", "way", "RMS", "largest", "likeliest alike", "RMS from F32"], rows)


def perplexity_rows(named):
    rows = [[name, f"{both['pare']['perplexity']:.4f}", f"{both['llama.cpp']['perplexity']:.4f}",
             show(perplexity_off(both), "{:.3%}"),
             show(perplexity_off(both, "no flash attention"), "{:.3%}"),
             f"{both['pare']['error']:.2f}", str(both["pare"]["n"])] for name, both in named]
    return table(["model", "Pare", "llama.cpp", "difference", "of llama.cpp's own, flash attention or not",
                  "standard error by the text", "tokens"], rows)


def embeddings(truth):
    rows = [[str(row["length"]), str(row["texts"]), f"{row['largest']:.1e}", f"{row['cosine']:.1e}",
             "yes" if row["tokens_alike"] else "no"] for row in truth.get("embeddings", [])]
    return table(["tokens", "passages", "largest", "cosine", "tokens alike"], rows)


def memory(data):
    def mb(size):
        return f"{size / 1e6:.0f}"
    rows = [[row["encoding"], mb(row["weights"]), mb(row["cache"]), mb(row["peak"]), f"{row['peak'] / held(row):.2f}",
             mb(row["llama"] - row["llama_before"])] for row in data.get("memory", [])]
    return table(["model", "weights, MB", "cache, MB", "Pare's peak, MB", "of weights + cache + 64 MB",
                  "llama.cpp's peak, MB"], rows)


def front(data):
    rows = []
    for line in data.get("front", {}).get("lines", []):
        if line["status"] in ("sure", "front") or line["is_baseline"]:
            rows.append([line["label"], f"{line['perplexity']:.2f}", f"{line['latency_ms']:.1f}",
                         "-" if line["speedup_lo"] is None else
                         show((line["speedup"], line["speedup_lo"], line["speedup_hi"])),
                         f"{line['size_bytes'] / 1e6:.1f}"])
    return table(["variant", "perplexity", "decode, ms", "speed-up", "MB"], rows)


def handed(data):
    """What was picked, what GGUF could not hold, and the perplexity of what it could."""
    found = data.get("front")
    if not found:
        return []
    out = [f"Picked: `{found['picked']}`."]
    out += [f"GGUF cannot hold `{row['label']}` {row['why']}." for row in found["refused"]]
    if not found["handed"]:
        return [*out, "It holds none of the front.", ""]
    return [*out, f"Handed over: `{found['handed']}`.", "",
            *perplexity_rows([(found["handed"], found["perplexity"])])]


def markdown(data):
    data = data | {"shapes": [Shape(raw) for raw in data["settings"]]}
    shapes, truth = data["shapes"], data.get("truth", {})
    facts = data["host"] | ({"engines": engines_of(shapes)} if shapes else {})
    if shapes:
        facts["llama.cpp is built with"] = shapes[0].about("llama.cpp", "build")
    found = [(target, list(target.figures(data))) for target in TARGETS]
    counted = next(iter(truth.get("logits", {}).values()), {"tokens": 0})["tokens"]
    return "\n".join(opening("Pare beside llama.cpp", facts, shapes, NOTES) + sections([
        ("Targets", "", targets(found, "where")),
        ("Speed", SPEED_NOTES, speeds(shapes)),
        ("Beside transformers", "The same weights as the Q4_1 file, widened.\n", transformers(shapes)),
        ("Logits", LOGITS_NOTES.format(counted), logits(truth)),
        ("Perplexity", PERPLEXITY_NOTES, perplexity_rows(truth.get("perplexity", {}).items())),
        ("Embeddings", EMBEDDING_NOTES, embeddings(truth)),
        ("Memory", MEMORY_NOTES, memory(data)),
        ("A pipeline's front", FRONT_NOTES, front(data) + handed(data)),
    ]))

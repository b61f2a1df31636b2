# SPDX-License-Identifier: Apache-2.0
"""A run as markdown."""
import datetime
import pathlib
import platform
import subprocess
import sys

from stats import Setting
from targets import TARGETS

PEERS = [("pare f32", "onnxruntime f32"), ("pare f32", "torch"), ("pare f32 avx2", "torch avx2"),
         ("pare int8", "onnxruntime int8")]
OWN = ["int8", "int8-weights", "int4-weights", "2:4", "2:4-int8"]
STRUCTURED = ["int8", "2:4", "4:8", "2:4-int8"]
DENSITIES = [50, 40, 30, 20, 10]
BUSY = 0.2  # CPUs that others may take before the report says so
RATES = {"gemm": "Pare's product, GFLOP/s", "onednn": "oneDNN's product, GFLOP/s",
         "fma256": "256-bit peak, GFLOP/s", "fma512": "512-bit peak, GFLOP/s", "read": "read, GB/s"}
NOTES = """\
Above 1, Pare is faster. Every engine is a process of its own, stopped while another is timed; each
round visits all of them in a new random order, warmed up anew, and nothing is dropped. A figure is
the median over the rounds of the ratio within a round, with the order statistics that hold it with
95 %. A target is *met* when the whole interval reaches it, *missed* when none of it does, and
*undecided* between. Of each peer the fastest of its forms counts: onnxruntime with its own graph
optimisations and with its transformer optimizer before, int8 weights per tensor and per channel;
torch with MKL and with oneDNN over packed weights.
"""
OWN_NOTES = """\
Against own dense f32; of all linears in blocks.
"""
STRUCTURE_NOTES = """\
f32; `drop`: layers left out, `heads` and `channels`: how many each branch keeps, `merge`: tokens
merged in each layer.
"""
DENSITY_NOTES = """\
How many times faster than own dense f32 on the same instruction set, the whole model and its products
alone (with what they do to their input); per cent: numbers stored, anywhere. `even with`: the density
at which sparse f32 takes as long as dense f32, and as int8.
"""
AGREEMENT_NOTES = """\
Largest difference of f32 logits from Pare's, of the largest logit (checked: at most {}); for integer
weights the relative error of all logits, in the 2-norm.
"""


def host(a, command):
    info = pathlib.Path("/proc/cpuinfo").read_text()
    field = {line.split(":")[0].strip(): line.split(":")[1].strip()
             for line in info.splitlines() if ":" in line}
    flags = field.get("flags", "").split()
    isa = [f for f in ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if f in flags]
    git = subprocess.run(["git", "-C", a.source, "describe", "--always", "--dirty"], text=True,
                         capture_output=True, check=False).stdout.strip()
    return {"CPU": f"{field.get('model name', platform.processor())}, family {field.get('cpu family')}, "
                   f"model {field.get('model')}; CPUs: {info.count('processor	')}",
            "ISA": " ".join(isa), "date": datetime.date.today().isoformat(), "commit": git,
            "command": " ".join([command, *sys.argv[1:]])}


def show(figure, form="{:.2f}"):
    """With its interval, where it has one."""
    median, low, high = (form.format(x) for x in figure)
    return median if figure[1] == figure[2] else f"{median} [{low}, {high}]"


def time(ms):
    return f"{ms:.3f}" if ms < 10 else f"{ms:.1f}"


def table(head, rows):
    if not rows:
        return []
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head),
            *("| " + " | ".join(row) + " |" for row in rows), ""]


def targets(found, where):
    """`found`: pairs of a target and its figures, which are pairs of where and what; `where`: a head for that."""
    rows = []
    for target, figures in found:
        bound = ("at most " if target.most else "at least ") + target.form.format(target.bound)
        if not figures:
            rows.append([target.name, bound, "-", "-", "not measured"])
            continue
        place, worst = (max if target.most else min)(figures, key=lambda item: item[1][0])
        verdicts = [target.verdict(figure) for _, figure in figures]
        said = ", ".join(f"{word} {verdicts.count(word)}" for word in ("met", "undecided", "missed")
                         if word in verdicts) if len(set(verdicts)) > 1 else verdicts[0]
        said = said if len(figures) == 1 else f"{said} of {len(figures)}"
        rows.append([target.name, bound, show(worst, target.form), place.replace(" | ", ", "), said])
    return table(["target", "bound", "worst figure", where, "verdict"], rows)


def targets_of(settings):
    found = [(target, [pair for s in settings for pair in target.figures(s)]) for target in TARGETS]
    return targets(found, "model, batch, threads")


def peers(settings):
    rows = []
    for s in settings:
        for own, peer in PEERS:
            if s.has(own, peer):
                rows.append([s.name, own.removeprefix("pare "), f"{peer} ({s.about(peer, 'form')})",
                             time(s.ms(own)), time(s.ms(peer)), show(s.ratio(peer, own))])
    return table(["model", "batch", "threads", "Pare", "peer", "Pare, ms", "peer, ms", "peer / Pare"], rows)


def own(settings):
    rows = []
    for s in settings:
        if s.has("pare f32"):
            rows.append([s.name, time(s.ms("pare f32"))] +
                        [show(s.ratio("pare f32", f"pare {e}")) if s.has(f"pare {e}") else "-" for e in OWN])
    return table(["model", "batch", "threads", "f32, ms", *(f"f32 / {e}" for e in OWN)], rows)


def rates(settings):
    rows = []
    for s in settings:
        known = [k for k in RATES if s.has(f"rate {k}")]
        if known:
            reached = {name: 2 * s.about(name, "macs") * s.batch / s.ms(name) / 1e6
                       for name in ("pare f32", "pare f32 avx2", "pare int8") if s.has(name)}
            rows.append([s.name, *(f"{s.rate(f'rate {k}')[0]:.0f}" if k in known else "-" for k in RATES),
                         " / ".join(f"{r:.0f}" for r in reached.values()), f"{s.others():.2f}"])
    return table(["model", "batch", "threads", *RATES.values(), "f32 / f32 on AVX2 / int8, GFLOP/s",
                  "CPUs taken by others"], rows)


def changes(settings):
    rows = []
    for s in settings:
        for name in s.rounds:
            if name.startswith("pare f32 ") and "=" in name:
                macs = 1 - s.about(name, "macs") / s.about("pare f32", "macs")
                rows.append([s.name, name.split()[-1], f"{100 * macs:.1f} %", time(s.ms(name)),
                             show(s.saved(name, "pare f32"))])
    return table(["model", "batch", "threads", "change", "MACs saved", "ms", "time saved / MACs saved"], rows)


def densities(settings):
    """Whole models, and their products alone, by encoding; the density where sparse equals dense."""
    rows = []
    for s in settings:
        for isa in ("", " avx2"):
            if not s.has(f"pare f32{isa}"):
                continue
            for kind in (None, "attn.query", "ffn.up", "ffn.down"):
                ms = {name: s.ms(name) if kind is None else s.node_ms(name, kind) for name in s.rounds}
                base = ms[f"pare f32{isa}"]
                sparse = {d: ms[f"pare f32 density={d}{isa}"] for d in DENSITIES}
                rows.append([s.model, "AVX2" if isa else s.about("pare f32", "isa"), kind or "model", time(base),
                             *(f"{base / ms[f'pare {e}{isa}']:.2f}" for e in STRUCTURED),
                             *(f"{base / sparse[d]:.2f}" for d in DENSITIES),
                             break_even(sparse, base), break_even(sparse, ms[f"pare int8{isa}"])])
    return table(["model", "ISA", "part", "f32, ms", *STRUCTURED, *(f"{d} %" for d in DENSITIES),
                  "even with f32", "even with int8"], rows)


def break_even(sparse, ms):
    """The density in per cent at which sparse takes as long, between those measured."""
    known = sorted(sparse.items())
    if known[0][1] > ms:
        return f"< {known[0][0]} %"
    for (d0, t0), (d1, t1) in zip(known, known[1:]):
        if t1 > ms:
            return f"{d0 + (d1 - d0) * (ms - t0) / (t1 - t0):.0f} %"
    return f"> {known[-1][0]} %"


def errors(settings):
    worst = {}
    for s in settings:
        for name, e in s.engines.items():
            if e["error"] is not None and name != "pare f32":
                key = s.model, name
                worst[key] = max(worst.get(key, 0), e["error"])
    names = sorted({name for _, name in worst}, key=lambda n: ("int" in n, n))
    models = list(dict.fromkeys(s.model for s in settings))
    return table(["engine", *models], [[n, *(f"{worst[m, n]:.1e}" if (m, n) in worst else "-" for m in models)]
                                       for n in names])


def opening(title, facts, settings, notes):
    """Before the sections."""
    out = [f"# {title}", "", *(f"* {key}: {value}" for key, value in facts.items())]
    others = sum(s.others() for s in settings) / max(1, len(settings))
    if others > BUSY:
        out += ["", f"**The machine was not quiet**: other processes took {others:.1f} CPUs on average. "
                "Intervals are wide", "for that, and figures on all of its CPUs tell more about the sharing than about the engines."]
    return out + ["", notes]


def sections(parts):
    """Of titles, words and tables, those that have a table."""
    out = []
    for title, text, rows in parts:
        if rows:
            out += [f"## {title}", "", *([text] if text else []), *rows]
    return out


def engines_of(settings):
    return ", ".join(sorted({e["about"]["engine"] for s in settings for e in s.engines.values()
                             if "engine" in e["about"]}))


def markdown(data, tolerance):
    every = [Setting(raw) for raw in data["settings"]]
    settings, structure, sparse = ([s for s in every if s.what == what]
                                   for what in ("peers", "structure", "sparse"))
    out = opening("Pare beside its peers", data["host"] | {"engines": engines_of(every)}, every, NOTES)
    return "\n".join(out + sections([
        ("Targets", "", targets_of(settings + structure)),
        ("Peers", "", peers(settings)),
        ("Own encodings", OWN_NOTES, own(settings)),
        ("The machine in the same run", "", rates(settings)),
        ("Structure", STRUCTURE_NOTES, changes(structure)),
        ("Density", DENSITY_NOTES, densities(sparse)),
        ("Agreement", AGREEMENT_NOTES.format(tolerance), errors(settings)),
    ]))

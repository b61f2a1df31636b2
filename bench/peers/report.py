# SPDX-License-Identifier: Apache-2.0
"""Ratios with intervals, as markdown."""
import datetime
import math
import pathlib
import platform
import statistics
import sys

LIKE = {  # Pare's engine: peers that do the same
    "pare f32": ["onnxruntime f32", "torch"],
    "pare int8": ["onnxruntime int8"],
    "pare f32 avx2": ["torch avx2"],
}


def host(a):
    info = pathlib.Path("/proc/cpuinfo").read_text()
    field = {line.split(":")[0].strip(): line.split(":")[1].strip()
             for line in info.splitlines() if ":" in line}
    flags = field.get("flags", "").split()
    isa = [f for f in ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if f in flags]
    return {"cpu": f"{field.get('model name', platform.processor())}, family {field.get('cpu family')}, "
                   f"model {field.get('model')}, {info.count('processor	')} CPUs", "isa": " ".join(isa),
            "date": datetime.date.today().isoformat(), "command": ["bench/peers.sh", *sys.argv[1:]]}


def interval(values):
    """Median, and the narrowest pair of order statistics that holds it with at least 95 %."""
    v, n = sorted(values), len(values)
    low = 0
    while low + 1 < n - low - 1:
        outside = 2 * sum(math.comb(n, i) for i in range(low + 2)) / 2**n
        if outside > 0.05:
            break
        low += 1
    return statistics.median(v), v[low], v[n - 1 - low]


def medians(engine):
    return [statistics.median(visit) for visit in engine["times"]]


def ratio(engines, over, under):
    """over / under, paired by round."""
    if over not in engines or under not in engines:
        return None
    return interval([x / y for x, y in zip(medians(engines[over]), medians(engines[under]))])


def show(r, digits=2):
    return "-" if r is None else f"{r[0]:.{digits}f} [{r[1]:.{digits}f}, {r[2]:.{digits}f}]"


def ms(engines, name):
    if name not in engines:
        return "-"
    t = statistics.median(medians(engines[name])) / 1e6
    return f"{t:.3f}" if t < 10 else f"{t:.1f}"


def setting_name(s):
    return f"{s['model']} | {s['batch']} | {s['threads']}"


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *rows, ""]


def markdown(data):
    out = []
    rows = []
    for s in data["settings"]:
        e = s["engines"]
        for own, peers in LIKE.items():
            for peer in peers:
                r = ratio(e, peer, own)
                if r:
                    rows.append(f"| {setting_name(s)} | {own} | {peer} | {ms(e, own)} | {ms(e, peer)} | {show(r)} |")
    out += table(["model", "batch", "threads", "Pare", "peer", "Pare, ms", "peer, ms", "peer / Pare"], rows)
    return "\n".join(out)

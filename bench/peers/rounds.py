# SPDX-License-Identifier: Apache-2.0
"""What all comparisons share: options, rounds in random order, what is kept and written."""
import json
import os
import pathlib
import random
import sys
import time

from engines import wait_for_quiet


def add_options(p, budget):
    p.add_argument("--rounds", type=int, default=12)
    p.add_argument("--span", type=float, default=0.25, help="seconds timed of each engine per round")
    p.add_argument("--budget", type=float, default=budget, help="seconds per setting: fewer rounds, at least 6")
    p.add_argument("--patience", type=float, default=120,
                   help="seconds per setting to wait, between engines, for other processes to rest")
    p.add_argument("--quick", action="store_true", help="6 rounds of 0.1 s, 60 s per setting")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--out", help="raw figures, as JSON")
    p.add_argument("--resume", action="store_true", help="keep what --out has already")
    p.add_argument("--write", help="the report, as markdown; else printed")
    p.add_argument("--again", help="no timing: report on an earlier --out")


def parse(p, places):
    """Also what the shell script hands over in BENCH_..."""
    a = p.parse_args()
    for place in places:
        setattr(a, place, os.environ.get(f"BENCH_{place.upper()}", ""))
    if a.quick:
        a.rounds, a.span, a.budget = 6, 0.1, 60
    if a.resume and not a.out:
        p.error("--resume goes with --out")
    return a


def visit_all(a, engines, title, after=lambda engine: None):
    """Time the engines in turn, each round in a new random order."""
    shuffle = random.Random(a.seed)
    for e in engines:
        if not e.seconds:
            e.calibrate()
    cost = sum(e.seconds * e.inferences(a.span) + 0.06 for e in engines)
    rounds = max(6, min(a.rounds, int(a.budget / cost)))
    print(f"{title}: {len(engines)} engines, {rounds} rounds, about {rounds * cost:.0f} s", file=sys.stderr)
    deadline = time.monotonic() + a.patience
    for _ in range(rounds):
        shuffle.shuffle(engines)
        for e in engines:
            wait_for_quiet(deadline)
            e.visit(a.span)
            after(e)


def begin(a, host):
    """What there is to go on from."""
    if a.again:
        return json.loads(pathlib.Path(a.again).read_text())
    if a.resume and pathlib.Path(a.out).exists():
        return json.loads(pathlib.Path(a.out).read_text())
    return {"host": host, "settings": []}


def keep(a, data):
    """A run that is cut while it writes leaves what was there before."""
    if a.out:
        new = pathlib.Path(a.out + ".new")
        new.write_text(json.dumps(data))
        new.rename(a.out)


def publish(a, text):
    if not a.write:
        print(text)
        return
    target = pathlib.Path(a.write)
    # What other benchmarks wrote below stays.
    old = target.read_text() if target.exists() else ""
    kept = old.find("\n## Scale")
    target.write_text(text if kept < 0 else text.rstrip("\n") + "\n" + old[kept:])

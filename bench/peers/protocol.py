# SPDX-License-Identifier: Apache-2.0
"""A peer's side of the line protocol that bench/protocol.h describes."""
import json
import sys
import time

import numpy as np


def serve(about, shape, run, more=None):
    """Answer requests: `run` takes an array of `shape`, a new one whenever the input changed, and
    returns the outputs. `more` has functions for requests of one's own, by their first word."""
    inputs = np.zeros(shape, np.float32)
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "input":
            inputs = np.fromfile(rest, np.float32).reshape(shape)
            print("ok")
        elif word == "output":
            np.ascontiguousarray(run(inputs), np.float32).tofile(rest)
            print("ok")
        elif word == "run":
            times = []
            for _ in range(int(rest)):
                start = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
                run(inputs)
                times.append(time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) - start)
            print(*times)
        elif more and word in more:
            more[word](*rest.split())
            print("ok")
        else:
            sys.exit(f"unknown request: {line}")
        sys.stdout.flush()

# SPDX-License-Identifier: Apache-2.0
"""A peer's side of the line protocol that bench/serve.c describes."""
import json
import sys
import time

import numpy as np


def serve(about, shape, run):
    """Answer requests: `run` takes an array of `shape` and returns the logits."""
    images = np.zeros(shape, np.float32)
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "input":
            images = np.fromfile(rest, np.float32).reshape(shape)
            print("ok")
        elif word == "output":
            np.ascontiguousarray(run(images), np.float32).tofile(rest)
            print("ok")
        elif word == "run":
            times = []
            for _ in range(int(rest)):
                start = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
                run(images)
                times.append(time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) - start)
            print(*times)
        else:
            sys.exit(f"unknown request: {line}")
        sys.stdout.flush()

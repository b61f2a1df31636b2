# SPDX-License-Identifier: Apache-2.0
"""Figures from a run's rounds. Every figure is (median, low, high): the median over the rounds of
what the engines did in the same round, and the order statistics that hold it with 95 %."""
import math
import statistics


def interval(values):
    v, n = sorted(values), len(values)
    low = 0  # the innermost pair that leaves out at most 5 %
    while low + 1 < n / 2 and 2 * sum(math.comb(n, i) for i in range(low + 2)) / 2**n <= 0.05:
        low += 1
    return statistics.median(v), v[low], v[n - 1 - low]


def mean_interval(values):
    """The mean, and where it lies with 95 % (Student's t, expanded about the normal quantile)."""
    mean, n, z = statistics.mean(values), len(values), 1.959964
    if n < 2:
        return mean, -math.inf, math.inf
    t = z + (z**3 + z) / (4 * (n - 1)) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * (n - 1)**2)
    half = t * statistics.stdev(values) / math.sqrt(n)
    return mean, mean - half, mean + half


def root_ratio(one, two):
    """The root of the ratio of two means, and where it lies with 95 %: pairs, to first order."""
    below = statistics.mean(two)
    ratio = statistics.mean(one) / below
    _, low, high = mean_interval([(x - ratio * y) / below for x, y in zip(one, two)])
    return math.sqrt(ratio), math.sqrt(max(ratio + low, 0)), math.sqrt(ratio + high)


class Setting:
    """One model, batch and number of threads."""

    def __init__(self, raw):
        self.what = raw["what"]
        self.model, self.batch, self.threads = raw["model"], raw["batch"], raw["threads"]
        self.engines = raw["engines"]
        self.rounds = {name: [statistics.median(visit) for visit in e["times"]]
                       for name, e in self.engines.items()}
        self.name = f"{self.model} | {self.batch} | {self.threads}"

    def has(self, *names):
        return all(name in self.rounds for name in names)

    def ms(self, name):
        return statistics.median(self.rounds[name]) / 1e6

    def node_ms(self, name, kind):
        return statistics.median(nodes[kind] for nodes in self.engines[name]["nodes"]) / 1e6

    def about(self, name, field):
        return self.engines[name]["about"].get(field)

    def others(self):
        """CPUs that other processes kept busy, on average."""
        return statistics.mean(x for e in self.engines.values() for x in e["others"])

    def ratio(self, slow, fast):
        """How many times faster `fast` is."""
        return interval([a / b for a, b in zip(self.rounds[slow], self.rounds[fast])])

    def rate(self, name):
        """Work per ns of a rate: GFLOP/s or GB/s."""
        return interval([self.about(name, "work") / t for t in self.rounds[name]])

    def share(self, name, *rates):
        """Of the best of `rates` in the round, how much an engine reached."""
        work = 2 * self.about(name, "macs") * self.batch
        best = [max(self.about(r, "work") / self.rounds[r][i] for r in rates)
                for i in range(len(self.rounds[name]))]
        return interval([work / t / b for t, b in zip(self.rounds[name], best)])

    def saved(self, name, base):
        """Share of time saved by share of multiply-accumulates saved."""
        macs = 1 - self.about(name, "macs") / self.about(base, "macs")
        return interval([(1 - a / b) / macs for a, b in zip(self.rounds[name], self.rounds[base])])

# SPDX-License-Identifier: Apache-2.0
"""What the engine is held to."""
from typing import Callable, NamedTuple


class Target(NamedTuple):
    name: str
    bound: float
    figures: Callable  # of a setting: pairs of where and (median, low, high)
    most: bool = False  # the bound is the highest figure, not the least
    form: str = "{:.2f}"

    def verdict(self, figure):
        _, low, high = figure
        if self.most:
            low, high = -high, -low
        bound = -self.bound if self.most else self.bound
        return "met" if low >= bound else "missed" if high < bound else "undecided"


F32, INT8, AVX2 = "pare f32", "pare int8", "pare f32 avx2"
GEMMS = ["rate gemm", "rate onednn"]


def faster(own, other, models=None, batches=None):
    def figures(s):
        if s.has(own, other) and (not models or s.model in models) and (not batches or s.batch in batches):
            yield s.name, s.ratio(other, own)
    return figures


def share(own, rates, model, batches):
    def figures(s):
        known = [r for r in rates if s.has(r)]
        if s.has(own) and known and s.model == model and s.batch in batches:
            yield s.name, s.share(own, *known)
    return figures


def saved(s):
    for name in s.rounds:
        if name.startswith(F32) and "=" in name and s.model in ("deit-tiny", "vit-base"):
            yield f"{s.name} | {name.split()[-1]}", s.saved(name, F32)


TARGETS = [
    Target("f32 beside onnxruntime", 1.0, faster(F32, "onnxruntime f32")),
    Target("f32, ViT-Base, batch 32: share of the best matrix rate", 0.85, share(F32, GEMMS, "vit-base", [32])),
    Target("f32 on AVX2, ViT-Base: share of the AVX2 peak", 0.80, share(AVX2, ["rate fma256"], "vit-base", [1, 32])),
    Target("f32 on AVX2 beside torch limited to AVX2", 1.0, faster(AVX2, "torch avx2")),
    Target("int8 beside onnxruntime's dynamic int8", 1.0, faster(INT8, "onnxruntime int8")),
    Target("int8 beside own f32, ViT-Base", 2.0, faster(INT8, F32, ["vit-base"])),
    Target("int8 beside own f32, DeiT-Tiny", 1.5, faster(INT8, F32, ["deit-tiny"])),
    Target("int4 weights beside int8 weights, ViT-Base, batch 1", 1.0,
           faster("pare int4-weights", "pare int8-weights", ["vit-base"], [1])),
    Target("2:4 beside own f32, DeiT-Tiny", 1.15, faster("pare 2:4", F32, ["deit-tiny"])),
    Target("2:4 beside own f32, ViT-Base", 1.0, faster("pare 2:4", F32, ["vit-base"])),
    Target("time saved per share of MACs saved, 197 tokens", 0.9, saved),
]

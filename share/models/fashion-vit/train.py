#!/usr/bin/env python3
"""Train the small Vision Transformer that the quick start compresses.

Reads Fashion-MNIST (Debian package dataset-fashion-mnist, MIT licence) and writes, in the folder given,
a Hugging Face style checkpoint: config.json, preprocessor_config.json and model.safetensors, with the
tensor names of transformers' ViTForImageClassification. A small convolutional teacher is trained first;
the ViT then learns from the labels and the teacher's soft targets (Hinton et al. 2015), and the weights
kept are an exponential moving average over the steps.

Usage: train.py OUT_DIR [--epochs 60] [--teacher-epochs 8] [--work DIR] [--data /usr/share/datasets/fashion-mnist]
Needs: torch, numpy (a current torch is several times faster than Debian's). An hour or two on two cores.
"""
import argparse
import copy
import gzip
import json
import math
import os
import struct
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

MEAN, STD = 0.2860, 0.3530  # of the training split's pixels, scaled to [0, 1]
LABELS = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
          "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
TEMPERATURE, SOFT_SHARE = 2.0, 0.7


def read_idx(path):
    with gzip.open(path, "rb") as f:
        _, _, kind, rank = struct.unpack(">BBBB", f.read(4))
        assert kind == 8, "unsigned bytes expected"
        shape = struct.unpack(">" + "I" * rank, f.read(4 * rank))
        return np.frombuffer(f.read(), dtype=np.uint8).reshape(shape).copy()


class Teacher(nn.Module):
    """A small residual convolutional network."""

    def __init__(self, classes=10, width=32):
        super().__init__()
        conv = lambda i, o, s=1: nn.Sequential(nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o))
        self.stem = conv(1, width)
        self.down = nn.ModuleList([conv(width, 2 * width, 2), conv(2 * width, 4 * width, 2)])
        self.body = nn.ModuleList(nn.Sequential(conv(c, c), nn.ReLU(), conv(c, c))
                                  for c in (width, 2 * width, 4 * width))
        self.head = nn.Linear(4 * width, classes)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = F.relu(x + self.body[0](x))
        for down, body in zip(self.down, list(self.body)[1:]):
            x = F.relu(down(x))
            x = F.relu(x + body(x))
        return self.head(x.mean((2, 3)))


class Block(nn.Module):
    """A pre-norm transformer block with stochastic depth on both residual branches."""

    def __init__(self, dim, heads, mlp, drop):
        super().__init__()
        self.heads, self.drop = heads, drop
        self.n1, self.n2 = nn.LayerNorm(dim, 1e-12), nn.LayerNorm(dim, 1e-12)
        self.qkv, self.o = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, mlp), nn.Linear(mlp, dim)

    def keep(self, branch):
        if not self.training or self.drop == 0:
            return branch
        mask = (torch.rand(branch.shape[0], 1, 1) >= self.drop).float() / (1 - self.drop)
        return branch * mask

    def attend(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        a = (q @ k.transpose(-1, -2) / math.sqrt(d // self.heads)).softmax(-1)
        return self.o((a @ v).transpose(1, 2).reshape(b, t, d))

    def forward(self, x):
        x = x + self.keep(self.attend(self.n1(x)))
        return x + self.keep(self.down(F.gelu(self.up(self.n2(x)))))


class ViT(nn.Module):
    def __init__(self, size=28, patch=4, dim=96, depth=8, heads=3, mlp=288, classes=10, drop_path=0.05):
        super().__init__()
        self.shape = dict(size=size, patch=patch, dim=dim, depth=depth, heads=heads, mlp=mlp, classes=classes)
        self.patch = nn.Conv2d(1, dim, patch, patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, dim) * 0.02)
        self.blocks = nn.ModuleList(Block(dim, heads, mlp, drop_path * i / max(1, depth - 1)) for i in range(depth))
        self.norm, self.head = nn.LayerNorm(dim, 1e-12), nn.Linear(dim, classes)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.trunc_normal_(m.weight, std=0.02)
                nn.init.zeros_(m.bias)

    def forward(self, images):
        x = self.patch(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


def named_for_transformers(model):
    out = {
        "vit.embeddings.cls_token": model.cls,
        "vit.embeddings.position_embeddings": model.pos,
        "vit.embeddings.patch_embeddings.projection.weight": model.patch.weight,
        "vit.embeddings.patch_embeddings.projection.bias": model.patch.bias,
        "vit.layernorm.weight": model.norm.weight, "vit.layernorm.bias": model.norm.bias,
        "classifier.weight": model.head.weight, "classifier.bias": model.head.bias,
    }
    inside = {"n1": "layernorm_before", "n2": "layernorm_after", "o": "attention.output.dense",
              "up": "intermediate.dense", "down": "output.dense"}
    for i, block in enumerate(model.blocks):
        for part in ("weight", "bias"):
            for short, name in inside.items():
                out[f"vit.encoder.layer.{i}.{name}.{part}"] = getattr(getattr(block, short), part)
            for name, third in zip(("query", "key", "value"), getattr(block.qkv, part).chunk(3)):
                out[f"vit.encoder.layer.{i}.attention.attention.{name}.{part}"] = third
    return {k: v.detach().contiguous().float().numpy() for k, v in out.items()}


def save(model, folder):
    os.makedirs(folder, exist_ok=True)
    tensors = named_for_transformers(model)
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [offset, offset + t.nbytes]}
        offset += t.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors.part"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            f.write(t.tobytes())
    os.replace(os.path.join(folder, "model.safetensors.part"), os.path.join(folder, "model.safetensors"))
    s = model.shape
    config = {"architectures": ["ViTForImageClassification"], "model_type": "vit", "image_size": s["size"],
              "patch_size": s["patch"], "num_channels": 1, "hidden_size": s["dim"], "num_hidden_layers": s["depth"],
              "num_attention_heads": s["heads"], "intermediate_size": s["mlp"], "hidden_act": "gelu",
              "layer_norm_eps": 1e-12, "qkv_bias": True, "id2label": {str(i): l for i, l in enumerate(LABELS)}}
    json.dump(config, open(os.path.join(folder, "config.json"), "w"), indent=2)
    prep = {"image_mean": [MEAN], "image_std": [STD], "rescale_factor": 1 / 255, "size": {"height": 28, "width": 28},
            "do_normalize": True, "do_rescale": True, "image_processor_type": "ViTImageProcessor"}
    json.dump(prep, open(os.path.join(folder, "preprocessor_config.json"), "w"), indent=2)


def augment(x):
    """A random shift by up to two pixels and a horizontal flip, one of each per image."""
    b = x.shape[0]
    padded = F.pad(x, (2, 2, 2, 2), value=(0 - MEAN) / STD)
    dy, dx = torch.randint(0, 5, (b,)), torch.randint(0, 5, (b,))
    rows = dy[:, None] + torch.arange(28)
    cols = dx[:, None] + torch.arange(28)
    x = padded[torch.arange(b)[:, None, None], 0, rows[:, :, None], cols[:, None, :]][:, None]
    flip = torch.rand(b) < 0.5
    x[flip] = x[flip].flip(-1)
    return x


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        hits = sum((model(x[i:i + 500]).argmax(1) == y[i:i + 500]).sum().item() for i in range(0, len(x), 500))
    model.train()
    return hits / len(x)


def fit(model, data, epochs, batch, rate, loss_of, autocast, after_epoch, average=0.0, state_file=None):
    """AdamW with linear warm-up and cosine decay; returns the averaged model when `average` is above 0.

    With a state file an interrupted run goes on from its last whole epoch."""
    x = data
    decay = [q for q in model.parameters() if q.ndim > 1]
    rest = [q for q in model.parameters() if q.ndim <= 1]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0}], lr=rate)
    per_epoch = len(x) // batch
    steps, warm = per_epoch * epochs, 500
    schedule = torch.optim.lr_scheduler.LambdaLR(
        opt, lambda s: min(1, s / warm) * 0.5 * (1 + math.cos(math.pi * min(1, s / steps))))
    kept = copy.deepcopy(model) if average else model
    step = first = 0
    if state_file and os.path.exists(state_file):
        state = torch.load(state_file)
        model.load_state_dict(state["model"]), kept.load_state_dict(state["kept"])
        opt.load_state_dict(state["opt"]), schedule.load_state_dict(state["schedule"])
        step, first = state["step"], state["epoch"]
        torch.manual_seed(first)
    run = torch.compile(model) if state_file else model
    for epoch in range(first, epochs):
        began, total = time.time(), 0.0
        order = torch.randperm(len(x))
        for i in range(0, len(x) - batch + 1, batch):
            pick = order[i:i + batch]
            images = augment(x[pick])
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                loss = loss_of(run(images).float(), pick)
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            schedule.step()
            step += 1
            if average:
                share = min(average, step / (step + 100))
                with torch.no_grad():
                    for a, b in zip(kept.parameters(), model.parameters()):
                        a.lerp_(b, 1 - share)
            total += loss.item()
        after_epoch(kept, epoch, total / per_epoch, time.time() - began)
        if state_file:
            torch.save({"model": model.state_dict(), "kept": kept.state_dict(), "opt": opt.state_dict(),
                        "schedule": schedule.state_dict(), "step": step, "epoch": epoch + 1}, state_file)
    return kept


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out")
    p.add_argument("--epochs", type=int, default=60)
    p.add_argument("--teacher-epochs", type=int, default=8)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--bf16", action="store_true", help="autocast to bfloat16 where the CPU has it")
    p.add_argument("--work", default=".", help="folder for the teacher's targets and the resumable state")
    p.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    a = p.parse_args()
    torch.manual_seed(0)
    load = lambda s: (torch.from_numpy(read_idx(f"{a.data}/{s}-images-idx3-ubyte.gz")).float()[:, None] / 255 - MEAN) / STD
    label = lambda s: torch.from_numpy(read_idx(f"{a.data}/{s}-labels-idx1-ubyte.gz")).long()
    x, y, tx, ty = load("train"), label("train"), load("t10k"), label("t10k")

    def report(name, keep=False):
        def after(model, epoch, loss, seconds):
            if keep:
                save(model, a.out)
            got = accuracy(model, tx, ty)
            print(f"{name} epoch {epoch + 1} loss {loss:.4f} test top-1 {got:.4f} {seconds:.0f} s", flush=True)
        return after

    soft_file = os.path.join(a.work, "soft-targets.pt")
    if not os.path.exists(soft_file):
        teacher = Teacher().to(memory_format=torch.channels_last)
        hard = lambda logits, pick: F.cross_entropy(logits, y[pick], label_smoothing=0.05)
        fit(teacher, x, a.teacher_epochs, 256, 3e-3, hard, a.bf16, report("teacher"))
        teacher.eval()
        with torch.no_grad():
            logits = torch.cat([(teacher(x[i:i + 500]) + teacher(x[i:i + 500].flip(-1))) / 2
                                for i in range(0, len(x), 500)])
        torch.save(F.softmax(logits / TEMPERATURE, 1), soft_file)
    soft = torch.load(soft_file)

    def distil(logits, pick):
        kl = F.kl_div(F.log_softmax(logits / TEMPERATURE, 1), soft[pick], reduction="batchmean") * TEMPERATURE ** 2
        return SOFT_SHARE * kl + (1 - SOFT_SHARE) * F.cross_entropy(logits, y[pick], label_smoothing=0.05)

    torch.manual_seed(1)
    model = ViT()
    print(sum(q.numel() for q in model.parameters()), "parameters", flush=True)
    fit(model, x, a.epochs, a.batch, 1.5e-3, distil, a.bf16, report("vit", keep=True), average=0.999,
        state_file=os.path.join(a.work, "state.pt"))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""torch behind the line protocol: serve_torch.py FOLDER BATCH THREADS eager|onednn

eager: torch as it comes, with MKL for products. onednn: linears as torch.compile freezes them, by
oneDNN over weights packed beforehand, which is twice as fast where MKL does not know the CPU."""
import json
import pathlib
import sys

import torch
from safetensors.numpy import load_file
from torch import nn
from torch.nn import functional as F

from protocol import serve


class Packed(nn.Module):
    """A linear by oneDNN, and the activation after it."""

    def __init__(self, linear, activation="none"):
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self.bias, self.activation = linear.bias, activation

    def forward(self, x):
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation, [], "none")


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, eps = config["hidden_size"], config["layer_norm_eps"]
        self.heads = config["num_attention_heads"]
        self.before, self.after = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up = nn.Linear(width, config["intermediate_size"])
        self.down = nn.Linear(config["intermediate_size"], width)
        self.activation = F.gelu

    def pack(self):
        self.qkv, self.output = Packed(self.qkv), Packed(self.output)
        self.up, self.down = Packed(self.up, "gelu"), Packed(self.down)
        self.activation = nn.Identity()

    def forward(self, x):
        n, tokens, width = x.shape
        q, k, v = self.qkv(self.before(x)).view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        x = x + self.output(mixed.transpose(1, 2).reshape(n, tokens, width))
        return x + self.down(self.activation(self.up(self.after(x))))


class ViT(nn.Module):
    def __init__(self, config, classes):
        super().__init__()
        width, patch = config["hidden_size"], config["patch_size"]
        tokens = (config["image_size"] // patch) ** 2 + 1
        self.patches = nn.Conv2d(config["num_channels"], width, patch, patch)
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.zeros(1, tokens, width))
        self.layers = nn.Sequential(*(Layer(config) for _ in range(config["num_hidden_layers"])))
        self.norm = nn.LayerNorm(width, config["layer_norm_eps"])
        self.classifier = nn.Linear(width, classes)

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat((self.first.expand(len(x), -1, -1), x), 1) + self.position
        return self.classifier(self.norm(self.layers(x))[:, 0])


def load(folder):
    config = json.loads((pathlib.Path(folder) / "config.json").read_text())
    if config["hidden_act"] != "gelu":
        raise ValueError(f"activation {config['hidden_act']}")
    t = {k: torch.from_numpy(v) for k, v in load_file(pathlib.Path(folder) / "model.safetensors").items()}
    state = {"first": t["vit.embeddings.cls_token"], "position": t["vit.embeddings.position_embeddings"]}
    for kind in ("weight", "bias"):
        state[f"patches.{kind}"] = t[f"vit.embeddings.patch_embeddings.projection.{kind}"]
        state[f"norm.{kind}"] = t[f"vit.layernorm.{kind}"]
        state[f"classifier.{kind}"] = t[f"classifier.{kind}"]
        for i in range(config["num_hidden_layers"]):
            name = f"vit.encoder.layer.{i}"
            parts = [t[f"{name}.attention.attention.{p}.{kind}"] for p in ("query", "key", "value")]
            state[f"layers.{i}.qkv.{kind}"] = torch.cat(parts)
            for own, other in {"before": "layernorm_before", "after": "layernorm_after",
                               "output": "attention.output.dense", "up": "intermediate.dense",
                               "down": "output.dense"}.items():
                state[f"layers.{i}.{own}.{kind}"] = t[f"{name}.{other}.{kind}"]
    model = ViT(config, len(t["classifier.bias"]))
    model.load_state_dict(state)
    side = config["image_size"]
    return model.eval(), [config["num_channels"], side, side]


folder, batch, threads, how = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
torch.set_num_threads(threads)
torch.set_flush_denormal(True)
model, shape = load(folder)
with torch.inference_mode():
    if how == "onednn":
        for layer in model.layers:
            layer.pack()
    serve({"engine": f"torch {torch.__version__}", "form": how,
           "isa": torch.backends.cpu.get_cpu_capability()},
          [batch, *shape], lambda images: model(torch.from_numpy(images)).numpy())

# SPDX-License-Identifier: Apache-2.0
"""ONNX from a Hugging Face ViT folder, as the exporters of torch write it, and what onnxruntime's
own tools make of it: `fused` by its transformer optimizer, int8 by quantize_dynamic."""
import json
import logging
import math
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

OPSET = 20


class Exporter:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.config = json.loads((folder / "config.json").read_text())
        self.tensors = load_file(folder / "model.safetensors")
        self.nodes, self.initializers = [], {}

    def constant(self, name, value, dtype=None):
        if name not in self.initializers:
            array = np.array(value, dtype, order="C")
            self.initializers[name] = numpy_helper.from_array(array, name)
        return name

    def add(self, op, name, *inputs, **attributes):
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=f"node.{name}", **attributes))
        return name

    def linear(self, x, name, out):
        weight = self.constant(f"{out}.weight", self.tensors[f"{name}.weight"].T)
        bias = self.constant(f"{out}.bias", self.tensors[f"{name}.bias"])
        return self.add("Add", out, self.add("MatMul", f"{out}.product", x, weight), bias)

    def norm(self, x, name, out):
        scale = self.constant(f"{out}.scale", self.tensors[f"{name}.weight"])
        bias = self.constant(f"{out}.bias", self.tensors[f"{name}.bias"])
        return self.add("LayerNormalization", out, x, scale, bias, axis=-1,
                        epsilon=self.config["layer_norm_eps"])

    def heads(self, x, out, perm):
        width, heads = self.config["hidden_size"], self.config["num_attention_heads"]
        split = self.constant("split", [0, 0, heads, width // heads], np.int64)
        return self.add("Transpose", out, self.add("Reshape", f"{out}.split", x, split), perm=perm)

    def attention(self, x, name, out):
        width, heads = self.config["hidden_size"], self.config["num_attention_heads"]
        q, k, v = (self.linear(x, f"{name}.attention.{part}", f"{out}.{part}")
                   for part in ("query", "key", "value"))
        q = self.heads(q, f"{out}.q", [0, 2, 1, 3])
        k = self.heads(k, f"{out}.k", [0, 2, 3, 1])
        v = self.heads(v, f"{out}.v", [0, 2, 1, 3])
        root = self.constant("root", math.sqrt(width / heads), np.float32)
        scores = self.add("Div", f"{out}.scaled", self.add("MatMul", f"{out}.scores", q, k), root)
        mixed = self.add("MatMul", f"{out}.mix", self.add("Softmax", f"{out}.softmax", scores, axis=-1), v)
        mixed = self.add("Transpose", f"{out}.back", mixed, perm=[0, 2, 1, 3])
        join = self.constant("join", [0, 0, width], np.int64)
        mixed = self.add("Reshape", f"{out}.joined", mixed, join)
        return self.linear(mixed, f"{name}.output.dense", f"{out}.output")

    def embed(self, image):
        width, patch = self.config["hidden_size"], self.config["patch_size"]
        name = "vit.embeddings.patch_embeddings.projection"
        x = self.add("Conv", "patches", image,
                     self.constant("patch.weight", self.tensors[f"{name}.weight"]),
                     self.constant("patch.bias", self.tensors[f"{name}.bias"]),
                     kernel_shape=[patch, patch], strides=[patch, patch])
        x = self.add("Reshape", "flat", x, self.constant("flatten", [0, width, -1], np.int64))
        x = self.add("Transpose", "tokens", x, perm=[0, 2, 1])
        batch = self.add("Shape", "batch", image, start=0, end=1)
        ones = self.constant("ones", [1, 1], np.int64)
        sizes = self.add("Concat", "sizes", batch, ones, axis=0)
        first = self.constant("class", self.tensors["vit.embeddings.cls_token"])
        first = self.add("Expand", "classes", first, sizes)
        x = self.add("Concat", "sequence", first, x, axis=1)
        position = self.constant("position", self.tensors["vit.embeddings.position_embeddings"])
        return self.add("Add", "embedded", x, position)

    def model(self):
        c = self.config
        if c["hidden_act"] != "gelu":
            raise ValueError(f"activation {c['hidden_act']}")
        x = self.embed("image")
        for i in range(c["num_hidden_layers"]):
            name, out = f"vit.encoder.layer.{i}", f"layer.{i}"
            y = self.norm(x, f"{name}.layernorm_before", f"{out}.norm1")
            x = self.add("Add", f"{out}.sum1", self.attention(y, f"{name}.attention", f"{out}.attention"), x)
            y = self.norm(x, f"{name}.layernorm_after", f"{out}.norm2")
            y = self.linear(y, f"{name}.intermediate.dense", f"{out}.up")
            y = self.add("Gelu", f"{out}.gelu", y)
            x = self.add("Add", f"{out}.sum2", self.linear(y, f"{name}.output.dense", f"{out}.down"), x)
        x = self.norm(x, "vit.layernorm", "norm")
        x = self.add("Gather", "pooled", x, self.constant("zero", 0, np.int64), axis=1)
        classes = self.tensors["classifier.weight"].shape[0]
        self.add("Gemm", "logits", x, self.constant("classifier.weight", self.tensors["classifier.weight"]),
                 self.constant("classifier.bias", self.tensors["classifier.bias"]), transB=1)
        image = helper.make_tensor_value_info(
            "image", TensorProto.FLOAT, ["batch", c["num_channels"], c["image_size"], c["image_size"]])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])
        graph = helper.make_graph(self.nodes, "vit", [image], [logits], list(self.initializers.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                                  producer_name="pytorch", ir_version=10)
        onnx.checker.check_model(model)
        return model


def export(folder, out):
    """Write every form of the model into `out`, once, and return its files by name."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    logging.getLogger().setLevel(logging.ERROR)
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    files = {form: out / f"{form}.onnx" for form in ("plain", "fused")}
    if not all(file.exists() for file in files.values()):
        exporter = Exporter(folder)
        onnx.save(exporter.model(), files["plain"])
        fused = optimizer.optimize_model(
            str(files["plain"]), model_type="vit", num_heads=exporter.config["num_attention_heads"],
            hidden_size=exporter.config["hidden_size"], opt_level=0, use_gpu=False)
        fused.save_model_to_file(str(files["fused"]))
    for form in ("plain", "fused"):
        for per_channel in (False, True):
            name = f"int8-{form}-{'channel' if per_channel else 'tensor'}"
            files[name] = out / f"{name}.onnx"
            if not files[name].exists():
                quantize_dynamic(str(files[form]), str(files[name]), per_channel=per_channel,
                                 op_types_to_quantize=["MatMul", "Gemm", "Attention"],
                                 reduce_range=False, weight_type=QuantType.QInt8,
                                 extra_options={"DefaultTensorType": TensorProto.FLOAT})
    return files

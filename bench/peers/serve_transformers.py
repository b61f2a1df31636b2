# SPDX-License-Identifier: Apache-2.0
"""transformers behind the line protocol, with the words of bench/serve_text.c and of its own:
serve_transformers.py FOLDER [type=float32|bfloat16] [embed=1] ...

With embed=1: the mean of the last hidden states, of length 1, as sentence-transformers has it."""
import os
import pathlib
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
import transformers

from protocol import serve

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
folder = sys.argv[1]
said = {"threads": "1", "tokens": "128", "depth": "0", "phase": "prefill", "outputs": "last",
        "type": "float32", "embed": "0"} | dict(word.split("=") for word in sys.argv[2:])
tokens, depth = int(said["tokens"]), int(said["depth"])
decode, every, embed = said["phase"] == "decode", said["outputs"] == "all", said["embed"] == "1"
torch.set_num_threads(int(said["threads"]))
torch.set_flush_denormal(True)
loader = transformers.AutoModel if embed else transformers.AutoModelForCausalLM
model = loader.from_pretrained(folder, dtype=getattr(torch, said["type"])).eval()
state = {"inputs": None, "cache": None}


def begin(inputs):
    state["inputs"], state["ids"] = inputs, torch.from_numpy(inputs.astype(np.int64))[None]
    if depth:
        state["cache"] = transformers.DynamicCache(config=model.config)
        model(state["ids"][:, :depth], past_key_values=state["cache"], logits_to_keep=1)


def run(inputs):
    if inputs is not state["inputs"]:
        begin(inputs)
    cache, ids = state["cache"], state["ids"]
    if not depth:
        cache = transformers.DynamicCache(config=model.config)
    elif cache.get_seq_length() > depth:
        cache.crop(depth - cache.get_seq_length())
    if not decode:
        return model(ids[:, depth:], past_key_values=cache, logits_to_keep=0 if every else 1).logits[0].float().numpy()
    rows = [model(ids[:, i:i + 1], past_key_values=cache).logits[0].float().numpy()
            for i in range(depth, depth + tokens)]
    return np.concatenate(rows) if every else rows[-1]


def embedding(inputs):
    ids = torch.from_numpy(inputs.astype(np.int64))[None]
    mean = model(ids, attention_mask=torch.ones_like(ids)).last_hidden_state.float().mean(1)
    return torch.nn.functional.normalize(mean).numpy()


def write_tokens(text, file):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(pathlib.Path(text).read_text(), truncation=False).input_ids
    np.array(ids, np.float32).tofile(file)


with torch.inference_mode():
    serve({"engine": f"transformers {transformers.__version__}, torch {torch.__version__}", "form": said["type"],
           "isa": torch.backends.cpu.get_cpu_capability()},
          [depth + tokens], embedding if embed else run, {"tokens": write_tokens})

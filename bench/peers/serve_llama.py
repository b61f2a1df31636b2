# SPDX-License-Identifier: Apache-2.0
"""llama.cpp behind the line protocol, with the words of bench/serve_text.c and two of its own:
serve_llama.py FILE [flash=auto|on|off] [repack=0|1] [ubatch=N] ...

Calls go straight to llama.cpp's functions; what Python adds to one is microseconds. Also answers
"tokens TEXT FILE" as Pare's side does."""
import ctypes
import pathlib
import sys

import llama_cpp as L
import numpy as np

from protocol import serve

FLASH = {"auto": L.LLAMA_FLASH_ATTN_TYPE_AUTO, "on": L.LLAMA_FLASH_ATTN_TYPE_ENABLED,
         "off": L.LLAMA_FLASH_ATTN_TYPE_DISABLED}


@L.llama_log_callback
def log(level, text, _):
    if level == 4:  # errors
        sys.stderr.write(text.decode())


def words(given):
    said = {"threads": "1", "tokens": "128", "depth": "0", "phase": "prefill", "outputs": "last",
            "flash": "auto", "repack": "1", "ubatch": "512"}
    for word in given:
        name, _, value = word.partition("=")
        if name not in said:
            sys.exit(f"unknown word: {word}")
        said[name] = value
    return said


def resident():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def version():
    """Of ggml, where the library says it."""
    found = []
    for name in ("ggml_version", "ggml_commit"):
        function = getattr(L.llama_cpp._lib, name, None)
        if function:
            function.restype = ctypes.c_char_p
            found.append(function().decode())
    return f", ggml {' '.join(found)}" if found else ""


class Llama:
    def __init__(self, path, said):
        self.tokens, self.depth = int(said["tokens"]), int(said["depth"])
        self.decode, self.all = said["phase"] == "decode", said["outputs"] == "all"
        self.given = None  # the input that the context was read for
        L.llama_log_set(log, None)
        L.llama_backend_init()
        loading = L.llama_model_default_params()
        loading.use_extra_bufts = said["repack"] == "1"
        self.model = L.llama_model_load_from_file(path.encode(), loading)
        how = L.llama_context_default_params()
        how.n_ctx = -(-(self.depth + self.tokens) // 256) * 256
        how.n_batch = max(how.n_batch, how.n_ctx)
        how.n_ubatch = int(said["ubatch"])
        how.n_threads = how.n_threads_batch = int(said["threads"])
        how.flash_attn_type = FLASH[said["flash"]]
        self.context = L.llama_init_from_model(self.model, how)
        if not self.model or not self.context:
            sys.exit(f"llama.cpp cannot load {path}")
        self.memory = L.llama_get_memory(self.context)
        self.vocab = L.llama_model_get_vocab(self.model)
        self.width = L.llama_vocab_n_tokens(self.vocab)

    def bos(self):
        """The token that begins every window of a perplexity, or None: tools/perplexity."""
        return L.llama_vocab_bos(self.vocab) if L.llama_vocab_get_add_bos(self.vocab) else None

    def read(self, ids):
        if L.llama_decode(self.context, L.llama_batch_get_one(ids, len(ids))):
            sys.exit("llama_decode failed")

    def read_all(self, ids, at):
        """With logits of every token."""
        batch = L.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.logits[i] = token, at + i, 1
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
        if L.llama_decode(self.context, batch):
            sys.exit("llama_decode failed")
        L.llama_batch_free(batch)

    def begin(self, inputs):
        ids = inputs.astype(np.int32)
        make = lambda part: (L.llama_token * len(part))(*part)  # noqa: E731
        self.text, self.single = make(ids[self.depth:]), [make([token]) for token in ids[self.depth:]]
        self.given = inputs
        L.llama_memory_clear(self.memory, True)
        if self.depth:
            self.read(make(ids[:self.depth]))

    def logits(self, rows):
        return np.ctypeslib.as_array(L.llama_get_logits(self.context), (rows, self.width))

    def run(self, inputs):
        if inputs is not self.given:
            self.begin(inputs)
        L.llama_memory_seq_rm(self.memory, 0, self.depth, -1)
        if not self.decode and self.all:
            self.read_all(self.text, self.depth)
            return self.logits(self.tokens)
        if not self.decode:
            self.read(self.text)
            return self.logits(1)
        rows = []
        for token in self.single:
            self.read(token)
            row = self.logits(1)  # waits until it is there
            if self.all:
                rows.append(row.copy())
        return np.concatenate(rows) if self.all else row

    def write_tokens(self, text, file):
        data = pathlib.Path(text).read_bytes()
        ids = (L.llama_token * (len(data) + 8))()
        n = L.llama_tokenize(self.vocab, data, len(data), ids, len(ids), True, True)
        np.array(ids[:n], np.float32).tofile(file)


def main():
    said = words(sys.argv[2:])
    before = resident()
    llama = Llama(sys.argv[1], said)
    about = {"engine": f"llama.cpp (llama-cpp-python {L.__version__}{version()})",
             "form": ", ".join([f"flash attention {said['flash']}",
                                "repacked" if said["repack"] == "1" else "as stored", f"ubatch {said['ubatch']}"]),
             "build": L.llama_print_system_info().decode().strip(" |"), "bos": llama.bos(), "resident_before": before}
    serve(about, [llama.depth + llama.tokens], llama.run, {"tokens": llama.write_tokens})


main()

# SPDX-License-Identifier: Apache-2.0
"""The same weights as F32, by llama.cpp itself: export_f32.py FILE.gguf OUT.gguf"""
import ctypes
import sys

import llama_cpp as L

quiet = L.llama_log_callback(lambda *_: None)
L.llama_log_set(quiet, None)
how = L.llama_model_quantize_default_params()
how.ftype = L.LLAMA_FTYPE_ALL_F32
how.allow_requantize = True
if L.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), ctypes.byref(how)):
    sys.exit(f"llama.cpp cannot write {sys.argv[2]}")

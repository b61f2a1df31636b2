# SPDX-License-Identifier: Apache-2.0
"""onnxruntime behind the line protocol: serve_ort.py FILE BATCH THREADS"""
import sys

import onnxruntime

from protocol import serve

file, batch, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
options.inter_op_num_threads = 1
options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
options.add_free_dimension_override_by_name("batch", batch)
options.log_severity_level = 3
session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
shape = [batch] + session.get_inputs()[0].shape[1:]
serve({"engine": f"onnxruntime {onnxruntime.__version__}"}, shape,
      lambda images: session.run(None, {"image": images})[0])

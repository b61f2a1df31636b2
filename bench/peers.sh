#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Time Pare beside onnxruntime and torch; bench/README.md says how. All options but the following
# are of bench/peers/drive.py (--help lists them):
#   --build DIR      where Pare is built (build)
#   --no-torch       without torch, which is large to install
# Environment: PARE_BENCH_CACHE (peers and models; $XDG_CACHE_HOME/pare-bench),
#   PARE_BENCH_TORCH_PYTHON (a Python that has torch, numpy and safetensors: nothing is installed),
#   PARE_BENCH_TORCH (what pip installs as torch; "torch").
set -eu
# shellcheck source=bench/env.sh
. "$(dirname "$0")/env.sh"
venv venv numpy safetensors onnx onnxruntime sympy
venv_torch numpy safetensors
make -s -C "$build" pare bench/serve bench/rates
export BENCH_SOURCE="$source" BENCH_BUILD="$build" BENCH_CACHE="$cache" BENCH_TORCH_PYTHON="$torch"
exec "$cache/venv/bin/python" "$source/bench/peers/drive.py" "$@"

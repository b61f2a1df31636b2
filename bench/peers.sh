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
source=$(cd "$(dirname "$0")/.." && pwd)
build=$source/build
cache=${PARE_BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pare-bench}
torch=${PARE_BENCH_TORCH_PYTHON:-}
no_torch=
n=$#
while [ "$n" -gt 0 ]; do
    n=$((n - 1))
    case $1 in
    --build)
        build=$(cd "$2" && pwd)
        shift
        n=$((n - 1))
        ;;
    --no-torch) no_torch=1 ;;
    *) set -- "$@" "$1" ;;
    esac
    shift
done

venv=$cache/venv
if ! [ -e "$venv/ready" ]; then
    mkdir -p "$cache"
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q numpy safetensors onnx onnxruntime sympy
    : >"$venv/ready"
fi
if [ -n "$no_torch" ]; then
    torch=
elif [ -z "$torch" ]; then
    # A venv of its own: the wheel of PyPI brings 5 GB of CUDA libraries, without which it does not
    # load; nothing here uses them.
    torch=$cache/torch/bin/python
    if ! [ -e "$cache/torch/ready" ]; then
        python3 -m venv "$cache/torch"
        # shellcheck disable=SC2086
        "$cache/torch/bin/pip" install -q numpy safetensors ${PARE_BENCH_TORCH:-torch}
        : >"$cache/torch/ready"
    fi
fi

make -s -C "$build" pare bench/serve bench/rates
export PYTHONDONTWRITEBYTECODE=1
export BENCH_SOURCE="$source" BENCH_BUILD="$build" BENCH_CACHE="$cache" BENCH_TORCH_PYTHON="$torch"
exec "$venv/bin/python" "$source/bench/peers/drive.py" "$@"

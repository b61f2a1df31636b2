#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What stored activations save in the accuracy phase: the same pipeline, whose variants differ in late layers only,
# evaluated from the images and from stored activations in turn; and pipelines/fashion-vit.yaml.
#   bench/cheap.sh BUILD [SAMPLES]        prints seconds of each and their ratio, wall and CPU, and the share of the work
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
samples=${2:-4000}
PARE_PLUGIN_PATH=$build/plugins
export PARE_PLUGIN_PATH
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/late.yaml" <<YAML
pare: 1
name: late
model: $top/share/models/fashion-vit
data:
  calibrate: {from: $top/share/data/fashion-mnist, split: calibration, samples: 32}
  evaluate: {from: $top/share/data/fashion-mnist, split: test}
stages:
  - id: quant
    plugin: quantize
    optional: true
    on: ["layer.6.**", "layer.7.**"]
    try: [{bits: 8, activations: int8}, {bits: 4, group_size: 32}, {bits: 3, group_size: 32}, {bits: 2, group_size: 32}]
  - {id: sparse, plugin: prune, optional: true, on: ["layer.7.**"], try: [{pattern: 2:4}, {sparsity: 0.5}]}
YAML

phase() { # FILE ACTIVATIONS: seconds of the evaluations, wall and CPU; models are built before
    rm -rf "$tmp"/db*
    "$build/pare" run "$1" --db "$tmp/db" --no-latency --quiet --set data.evaluate.samples=16 2>/dev/null
    "$build/pare" run "$1" --db "$tmp/db" --no-latency --set data.evaluate.samples="$samples" \
        --set limits.activations="$2" 2>"$tmp/said"
    "$build/pare" query "select (max(julianday(finished_at)) - min(julianday(started_at))) * 86400.0 as wall,
        sum(cpu_seconds) as cpu from attempts where phase = 'eval' and started_at >= (select max(finished_at) from
        attempts where phase = 'build')" --db "$tmp/db" --format csv | tr -d '\r' | tail -n 1
}

for file in "$tmp/late.yaml" "$top/pipelines/fashion-vit.yaml"; do
    echo "$(basename "$file" .yaml), $samples samples:"
    for _ in 1 2; do
        images=$(phase "$file" none)
        stored=$(phase "$file" 4GB)
        echo "$images,$stored" | awk -F, '{
            printf "  wall %.1f -> %.1f s, %.2fx;  CPU %.1f -> %.1f s, %.2fx\n", $1, $3, $1 / $3, $2, $4, $2 / $4 }'
    done
    sed -n 's/^/  /; /stored activations/p' "$tmp/said"
done

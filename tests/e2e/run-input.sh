#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Bad input to `run`: exit 2, a message with file, line and column, nothing half-written.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"
model=$PARE_TOP_SRC/share/models/fashion-vit
images=$PARE_TOP_SRC/share/data/fashion-mnist

write() { # FILE, the stages' line; the rest is fine
    cat >"$1" <<YAML
pare: 1
name: x
model: ${3:-$model}
data:
  evaluate: {from: ${4:-$images}, split: test, samples: 50}
stages:
  - $2
YAML
}
bad() { # PATTERN DESCRIPTION STAGE [MODEL [DATA]]
    write "$tmp/x.yaml" "$3" "${4:-}" "${5:-}"
    fails_with 2 "$1" "$2" "$pare" run "$tmp/x.yaml" --db "$tmp/x.db"
}
bad 'x.yaml:7:38: error: .*bitz.*' "unknown parameter" '{id: q, plugin: quantize, with: {bitz: 4}}'
bad 'did you mean .bits.' "with a suggestion" '{id: q, plugin: quantize, with: {bitz: 4}}'
bad 'x.yaml:7:21: error: .*quantise' "misspelt plugin" '{id: q, plugin: quantise}'
bad "unknown plugin './missing.so': there is no such file from $tmp" "a plugin's file that is not there" '{id: q, plugin: ./missing.so}'
bad 'x.yaml:7:44: error' "parameter out of range" '{id: q, plugin: quantize, with: {bits: 99}}'
bad 'x.yaml:7:44: error' "wrong type" '{id: q, plugin: quantize, with: {bits: many}}'
bad 'x.yaml:7:13: error: duplicate' "duplicate key" '{id: q, id: r, plugin: quantize}'
bad 'x.yaml:7:[0-9]+: error' "a selector that matches nothing" '{id: q, plugin: quantize, on: ["layer.99.**"]}'
bad 'nowhere' "missing model" '{id: q, plugin: quantize}' "$tmp/nowhere"
bad 'nowhere' "missing data" '{id: q, plugin: quantize}' "" "$tmp/nowhere"
fails_with 2 'nofile.yaml' "missing pipeline" "$pare" run "$tmp/nofile.yaml" --db "$tmp/x.db"

# a model that is damaged
mkdir "$tmp/m"
cp "$model"/*.json "$tmp/m"
head -c 100000 "$model/model.safetensors" >"$tmp/m/model.safetensors"
bad 'model.safetensors: tensor .* lies outside the file' "truncated safetensors" '{id: q, plugin: quantize}' "$tmp/m"
printf '\377\377\377\377\377\377\377\377{}' >"$tmp/m/model.safetensors"
bad 'header is said to take' "a header longer than the file" '{id: q, plugin: quantize}' "$tmp/m"

# data that are damaged
mkdir "$tmp/d"
head -c 5000 "$images/test-images-idx3-ubyte.gz" >"$tmp/d/test-images-idx3-ubyte.gz"
cp "$images/test-labels-idx1-ubyte.gz" "$tmp/d"
bad 'test-images' "truncated IDX" '{id: q, plugin: quantize}' "" "$tmp/d"
echo 'no IDX' >"$tmp/d/test-images-idx3-ubyte"
rm "$tmp/d/test-images-idx3-ubyte.gz"
bad 'test-images' "a file that is no IDX" '{id: q, plugin: quantize}' "" "$tmp/d"
is "nothing was written" "" "$(ls "$tmp"/x.db* 2>/dev/null)"

# a database that is not ours
write "$tmp/x.yaml" '{id: q, plugin: quantize}'
echo 'a text file of somebody' >"$tmp/text.db"
fails_with 2 'not a Pare database|no Pare database|text.db' "a file that is no database" "$pare" run "$tmp/x.yaml" --db "$tmp/text.db"
is "it is left as it was" "a text file of somebody" "$(cat "$tmp/text.db")"
done_testing

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The commands that work on language models: eval --text, bench --phase, generate, export --gguf.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"
LC_ALL=C OMP_NUM_THREADS=1
export LC_ALL OMP_NUM_THREADS
story=$PARE_TOP_SRC/share/models/stories260K/stories260K.gguf
alice=$PARE_TOP_SRC/share/data/alice
# One member of a JSON object that is printed a line each.
member() { sed -n "s/^  \"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p"; }
perplexity() { "$pare" eval "$1" --text "$alice/test.txt" --window 128 --samples 8 --format json | member perplexity; }

"$pare" model "$story" >"$tmp/units"
ok "model: tied weights count once" grep -q ' 260k parameters, ' "$tmp/units"

# ---- eval
"$pare" eval "$story" --text "$alice/test.txt" --window 128 --samples 8 --baseline "$story" --format json >"$tmp/eval" 2>"$tmp/err"
result $? "eval --text"
is "eval: n" "$((8 * 127))" "$(member n <"$tmp/eval")"
is "eval: no divergence from itself" "0.0 1.0" "$(member kl <"$tmp/eval") $(member agreement <"$tmp/eval")"
plain=$(member perplexity <"$tmp/eval")
awk "BEGIN { exit !(5 < $plain && $plain < 100) }"
result $? "eval: a plausible perplexity ($plain)"
is "eval --method: the second halves" "$((8 * 63))" \
    "$("$pare" eval "$story" --text "$alice/test.txt" --window 128 --samples 8 --method llama.cpp --format json | member n)"
fails_with 2 "none of hf, llama.cpp" "eval: an unknown method" "$pare" eval "$story" --text "$alice/test.txt" --method x
printf 'one\ntwo caf\351\n' >"$tmp/latin1.txt"
fails_with 2 'latin1.txt:2:8: this is no text in UTF-8' "eval: a text that is not UTF-8" "$pare" eval "$story" --text "$tmp/latin1.txt"
fails_with 2 'prompt:2:8: this is no text in UTF-8' "generate: a prompt that is not UTF-8" \
    sh -c '"$1" generate "$2" - <"$3"' sh "$pare" "$story" "$tmp/latin1.txt"
fails_with 2 "nowhere.txt" "eval: a text that is not there" "$pare" eval "$story" --text "$tmp/nowhere.txt"
is "eval: a split of a folder is its text" "$(perplexity "$story")" \
    "$("$pare" eval "$story" "$alice" --split test --window 128 --samples 8 --format json | member perplexity)"
fails_with 2 'hint: .*alice/calibration.txt is one' "eval: a folder of several texts" "$pare" eval "$story" "$alice"
fails_with 2 'there: calibration.txt, test.txt' "eval: a split that is not there" "$pare" eval "$story" "$alice" --split tst
fails_with 2 'alice/tst.txt, .jsonl or .tsv' "... and what would be it" "$pare" eval "$story" "$alice" --split tst
fails_with 2 'there is no .*/nodata' "eval: neither a text" "$pare" eval "$tmp/nomodel" "$tmp/nodata"
grep -q 'no model at .*/nomodel' "$tmp/err"
result $? "... nor a model: both are said"
fails_with 2 'name the file: .*stories260K/stories260K.gguf' "a folder that holds a GGUF file is no model, but that is" \
    "$pare" eval "${story%/*}" "$alice" --split test
fails_with 2 'hint: a model is .* a .gguf file' "a missing model: what would be one" "$pare" bench "$tmp/nothing"
fails_with 2 'hint: a window of 512' "eval: a window beyond the context" "$pare" eval "$story" "$alice" --split test --window 600
printf '{"context": "a", "choices": ["b", "c"], "answer": 0}\n{"context": "a"}\n' >"$tmp/lines.txt"
ok "eval: JSON lines called .txt" "$pare" eval "$story" "$tmp/lines.txt"
grep -q 'note: .*as FILE.jsonl its keys are read' "$tmp/err"
result $? "... are said to be read as a plain text"
printf 'text,label\na,0\n' >"$tmp/commas.csv"
fails_with 2 'labelled texts are .jsonl, or .tsv' "eval: commas" "$pare" eval "$story" "$tmp/commas.csv"
fails_with 2 "samples 'y'" "eval: wrong numbers" "$pare" eval "$story" "$alice" --samples y --window x --stride z
is "... all at once, usage once" "3 1" "$(grep -c 'no whole number' "$tmp/err") $(grep -c '^usage' "$tmp/err")"
"$pare" model new --family llama --shape 600,64,16,1,2,2,32 -o "$tmp/other" >"$tmp/out" 2>"$tmp/err"
fails_with 2 'tokens against 512' "eval: a baseline of other tokens" "$pare" eval "$story" "$alice/test.txt" --samples 1 --window 32 --baseline "$tmp/other"

# ---- bench
for phase in prefill decode; do
    "$pare" bench "$story" --phase $phase --tokens 8 --depth 16 --visits 6 --format json >"$tmp/bench" 2>"$tmp/err"
    result $? "bench --phase $phase"
    eval "macs_$phase=$(member macs <"$tmp/bench")"
    awk "BEGIN { x = $(member tokens_per_second <"$tmp/bench") * $(member latency_ms <"$tmp/bench") / 1e3; exit !(x > 7.99 && x < 8.01) }"
    result $? "bench --phase $phase: tokens a second are those 8"
done
# One more token is as many products, behind one more key; 512 tokens are not read.
is "bench: macs of what is timed; to read takes one head, to write one each" "$((7 * 512 * 64))" "$((macs_decode - macs_prefill))"
fails_with 2 'tokens and the depth together' "bench: more than the context" "$pare" bench "$story" --phase decode --tokens 8 --depth 508
fails_with 2 "none of whole, prefill, decode" "bench: an unknown phase" "$pare" bench "$story" --phase x

# ---- generate
"$pare" generate "$story" "Once upon a time" --tokens 12 >"$tmp/text" 2>"$tmp/rates"
result $? "generate"
ok "generate: rates apart" grep -q '^[0-9]* tokens read, .* 12 generated, ' "$tmp/rates"
is "generate: the same from standard input" "$(cat "$tmp/text")" \
    "$(printf %s "Once upon a time" | "$pare" generate "$story" - --tokens 12 --threads 2 2>"$tmp/err")"
fails_with 2 "fills the model's context" "generate: a prompt too long" sh -c \
    '"$1" generate "$2" - <"$3"' sh "$pare" "$story" "$alice/test.txt"
fails_with 2 'hint: shorten it' "... and what to do" sh -c '"$1" generate "$2" - <"$3"' sh "$pare" "$story" "$alice/test.txt"

# ---- what cannot be
fails_with 2 "stage 'token-merge' has nothing" "apply: the stage is called as the plugin" "$pare" apply "$story" token-merge -o "$tmp/merged"
fails_with 2 'under causal attention' "merging tokens of a causal model: the reason is told" \
    "$pare" apply "$story" token-merge -o "$tmp/merged"

# ---- init
"$pare" init "$story" "$alice" >"$tmp/new.yaml" 2>"$tmp/err"
result $? "init: of texts"
ok "init: of texts can be planned" "$pare" plan "$tmp/new.yaml"
ok "... by perplexity, the name without .gguf" grep -Eq 'name: "stories260K"$' "$tmp/new.yaml"
ok "... each split for what it is called" sh -c 'grep -q "calibrate: .*calibration.*, window: 512, samples: 16" "$1" &&
    grep -q "confirm: .*test.* skip: " "$1"' sh "$tmp/new.yaml"
"$pare" init "$story" "$alice/test.txt" >"$tmp/new.yaml" 2>"$tmp/err" && "$pare" plan "$tmp/new.yaml" >"$tmp/out" 2>"$tmp/err"
result $? "init: of one text"
mkdir "$tmp/none"
fails_with 2 'SPLIT.txt, SPLIT.jsonl or SPLIT.tsv' "init: a folder without texts" "$pare" init "$story" "$tmp/none"

# ---- export
PARE_DB=$tmp/story.db
export PARE_DB
cat >"$tmp/story.yaml" <<EOF
pare: 1
model: $story
data:
  calibrate: {from: $alice, split: calibration, window: 128, samples: 2}
  evaluate: {from: $alice, split: test, window: 128, samples: 8}
stages:
  - {plugin: layer-drop, optional: true, with: {count: 1}}
  - {plugin: quantize, optional: true, with: {bits: 8, group_size: 32, activations: int8}, except: ["layer.*.ffn.down", "head"]}
  - {id: all, plugin: quantize, optional: true, with: {bits: 5, group_size: 32, activations: int8}}
  - {plugin: kv-quant, optional: true, as: kv8, with: {bits: 8}}
exclude: [{quantize.bits: 8, all.bits: 5}, {kv-quant.bits: 8, quantize.bits: 8}, {kv-quant.bits: 8, all.bits: 5}]
measure: {perplexity: {}}
EOF
ok "a database with variants of it" "$pare" run "$tmp/story.yaml"
# Blocks of ggml hold the weights as they are, and read with inputs as int8 in groups of 32, as these
# variants do: the very same figure.
for label in baseline drop1 q8 drop1+q8; do
    ok "export --gguf: $label" "$pare" export "$label" --gguf -o "$tmp/$label"
    is "export --gguf: nothing but the file" model.gguf "$(ls "$tmp/$label")"
    is "export --gguf: the same perplexity" "$(perplexity "$label")" "$(perplexity "$tmp/$label/model.gguf")"
done
is "export --gguf: nothing is lost without a word" 0 "$(grep -c '^note' "$tmp/err")"
ok "export --gguf: a variant with a cache of integers" "$pare" export kv8 --gguf -o "$tmp/kv8"
grep -q 'note: kv8 keeps keys and values in 8 bits, which GGUF does not hold: .*-ctk q8_0 -ctv q8_0' "$tmp/err"
result $? "... says what is lost"
# A folder as Hugging Face has them, with the vocabulary of the GGUF file as tokenizer.json.
ok "export --hf of what came from GGUF" "$pare" export baseline --hf -o "$tmp/folder"
# (pairs of its rotation lie elsewhere: other sums of f32, and f16 keys that round to the other side)
awk "BEGIN { d = $(perplexity baseline) / $(perplexity "$tmp/folder") - 1; exit !(d < 1e-4 && d > -1e-4) }"
result $? "export --hf: the same perplexity, by its own tokenizer"
# Blocks of 32 do not divide the 172 columns of ffn.down.
fails_with 2 'not representable in GGUF because layer.0.ffn.down' "export --gguf: what it cannot hold is named" \
    "$pare" export q5 --gguf -o "$tmp/q5"
is "... and leaves nothing" "" "$(ls "$tmp" | grep '^q5')"
ok "export --gguf --decode" "$pare" export q5 --gguf --decode -o "$tmp/q5"
awk "BEGIN { d = $(perplexity q5) / $(perplexity "$tmp/q5/model.gguf") - 1; exit !(d < 2e-3 && d > -2e-3) }"
result $? "... the same perplexity, but for inputs of ffn.down that are not rounded any more"
fails_with 2 'not both' "export: as two formats" "$pare" export q8 --gguf --hf -o "$tmp/both"
for word in pare.steps pare.figures layer-drop 'drop1+q8' exported_at; do
    grep -aq "$word" "$tmp/drop1+q8/model.gguf"
    result $? "export --gguf: the file tells of $word"
done
fails_with 2 'is there already' "export --gguf: does not overwrite" "$pare" export q8 --gguf -o "$tmp/q8"
done_testing

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The commands that work on models: units, random models, export, eval, bench, predict, why.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"
LC_ALL=C OMP_NUM_THREADS=1
export LC_ALL OMP_NUM_THREADS
vit=$PARE_TOP_SRC/share/models/fashion-vit
data=$PARE_TOP_SRC/share/data/fashion-mnist
# One member of a JSON object that is printed a line each.
member() { sed -n "s/^  \"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p"; }

# ---- units
"$pare" model "$vit" >"$tmp/units"
is "model: linears" 50 "$(grep -c ' linear ' "$tmp/units")"
ok "model: totals" grep -q 'vit, 8 layers, image 1 x 28 x 28, 10 classes | 754k parameters, 3.02 MB, 40.8M MACs' "$tmp/units"
is "model --select" 6 "$("$pare" model "$vit" --select 'layer.0.**' --format csv | sed 1d | wc -l | tr -d ' ')"
is "model --kind" 24 "$("$pare" model "$vit" --kind head --format csv | sed 1d | wc -l | tr -d ' ')"
fails_with 2 "no unit matches 'layer.9" "model: a selector that matches nothing" "$pare" model "$vit" --select 'layer.9.**'

# ---- a random model
ok "model new" "$pare" model new --family vit --shape 28,7,1,32,3,2,64 --seed 5 -o "$tmp/m"
ok "model new: the same from the same seed" sh -c \
    '"$1" model new --family vit --shape 28,7,1,32,3,2,64 --seed 5 -o "$2/n" && cmp "$2/m/model.safetensors" "$2/n/model.safetensors"' \
    sh "$pare" "$tmp"
fails_with 2 'is there already' "model new: does not overwrite" \
    "$pare" model new --family vit --shape 28,7,1,32,3,2,64 -o "$tmp/m"
is "model new: can be opened" 20 "$("$pare" model "$tmp/m" --format csv | grep -c ',linear,')"

# ---- a database with built variants of it
PARE_DB=$tmp/tiny.db
export PARE_DB
ok "a database with built variants" "$PARE_TOP_BUILD/tests/e2e/fill_store" "$PARE_DB" "$tmp/tiny.yaml" "$tmp/m"
is "model: a variant by name" "int8" "$("$pare" model good --select classifier --format csv | sed -n '2s/\r$//p' | cut -d, -f8)"
"$pare" why drop1+q8 >"$tmp/why"
ok "why: layers" grep -Eq '^layer\.1 .* > ' "$tmp/why"
ok "why: operations with their kernels" grep -Eq '^layer\.\*\.ffn\.up .* int8' "$tmp/why"
ok "why: reasons" grep -q '^  - products: ' "$tmp/why"
ok "why --no-profile" sh -c '"$1" why drop1+q8 --no-profile | grep -q "not known: --no-profile"' sh "$pare"

# ---- export
ok "export" "$pare" export "$("$pare" query "select variant from variants where label = 'drop1+q8'" --format csv | sed -n '2s/\r$//p')" -o "$tmp/x/y"
is "export: nothing but the file" "model.safetensors" "$(ls "$tmp/x/y")"
is "export: nothing beside it" "y" "$(ls "$tmp/x")"
for word in drop1+q8 layer-drop speedup_lo exported_at; do
    grep -aq "$word" "$tmp/x/y/model.safetensors"
    result $? "export: the file tells of $word"
done
is "export: the same model" "$("$pare" model good | tail -n 2 | head -n 1 | sed 's/.*|//')" \
    "$("$pare" model "$tmp/x/y" | tail -n 2 | head -n 1 | sed 's/.*|//')"
sum=$(cksum <"$tmp/x/y/model.safetensors")
fails_with 2 'is there already' "export: does not overwrite" "$pare" export good -o "$tmp/x/y"
is "export: the old one is untouched" "$sum" "$(cksum <"$tmp/x/y/model.safetensors")"
ok "export --force" "$pare" export drop1 -o "$tmp/x/y" --force
is "export --force: leaves no rest" "y" "$(ls "$tmp/x")"
fails_with 2 'layer.1' "export --hf: what it cannot hold is named" "$pare" export good --hf --decode -o "$tmp/x/hf"
fails_with 2 'not representable in GGUF' "export --gguf: a model of images" "$pare" export baseline --gguf -o "$tmp/x/gguf"
ok "export --hf: the baseline" "$pare" export baseline --hf -o "$tmp/x/hf"
is "export --hf: a folder for transformers" "config.json model.safetensors preprocessor_config.json" \
    "$(ls "$tmp/x/hf" | tr '\n' ' ' | sed 's/ $//')"

# ---- eval, predict, bench on the shipped model
"$pare" eval "$vit" --data "$data" --split test --samples 500 --format json >"$tmp/eval" 2>"$tmp/err"
result $? "eval --format json"
is "eval: n" 500 "$(member n <"$tmp/eval")"
top1=$(member top1 <"$tmp/eval")
awk "BEGIN { exit !($top1 > 0.8 && $top1 < 1) }"
result $? "eval: a plausible top1 ($top1)"
one=$("$pare" eval "$vit" --data "$data" --split test --samples 64 --threads 1 --format json | member nll)
two=$("$pare" eval "$vit" --data "$data" --split test --samples 64 --threads 2 --format json | member nll)
[ -n "$one" ] && [ "$one" = "$two" ]
result $? "eval: the same on one and two threads ($one, $two)"
fails_with 2 'tset' "eval: an unknown split" "$pare" eval "$vit" --data "$data" --split tset
fails_with 2 'nowhere' "eval: missing data" "$pare" eval "$vit" --data "$tmp/nowhere"
"$pare" predict "$vit" "$data/test-images-idx3-ubyte.gz:0" --top 3 --format csv >"$tmp/predict" 2>"$tmp/err"
result $? "predict: a sample of an IDX file"
is "predict: K rows" 4 "$(wc -l <"$tmp/predict" | tr -d ' ')"
is "predict: probabilities fall" ok "$(sed 1d "$tmp/predict" | awk -F, 'NR > 1 && $4 > p { bad = 1 } { p = $4 } END { print bad ? "bad" : "ok" }')"
fails_with 2 'nothere.jpg' "predict: a missing image" "$pare" predict "$vit" "$tmp/nothere.jpg"
echo "no image" >"$tmp/broken.png"
fails_with 2 'broken.png' "predict: a broken image" "$pare" predict "$vit" "$tmp/broken.png"
fails_with 2 'there is no sample 70000 in test' "predict: a sample that is not there" \
    "$pare" predict "$vit" "$data/test-images-idx3-ubyte.gz:70000"
fails_with 2 'holds many samples: name one' "predict: a file of samples without a number" \
    "$pare" predict "$vit" "$data/test-images-idx3-ubyte.gz"
fails_with 2 "'-1' is no number of a sample" "predict: a number below 0" \
    "$pare" predict "$vit" "$data/test-images-idx3-ubyte.gz:-1"
fails_with 2 'nothing of test is left after skipping 20000' "eval: all is skipped" \
    "$pare" eval "$vit" --data "$data" --split test --skip 20000

# ---- which class a folder of images is
boot=$PARE_TOP_SRC/tests/fixtures/images/boot.png
classes() { # FOLDER CLASS...
    folder=$1
    shift
    for class; do
        mkdir -p "$folder/$class" && cp "$boot" "$folder/$class"
    done
}
classes "$tmp/named" "ankle boot" T-shirt_top
classes "$tmp/partly" "Ankle boot" coatt
classes "$tmp/others" ant bee
"$pare" eval "$vit" --data "$tmp/named" --format json >"$tmp/eval" 2>"$tmp/err"
is "folders named as labels, whatever the case" 1 "$(member correct <"$tmp/eval")"
is "... without a word" "" "$(cat "$tmp/err")"
fails_with 2 '1 of 2 are not: coatt' "folders of which some are labels" "$pare" eval "$vit" --data "$tmp/partly"
fails_with 2 "did 'coatt' mean 'Coat'" "... and the nearest" "$pare" eval "$vit" --data "$tmp/partly"
"$pare" eval "$vit" --data "$tmp/others" >"$tmp/eval" 2>"$tmp/said"
ok "folders that are no labels: said" grep -q '^note: .*others: .*classes 0 to 1 in alphabetical order' "$tmp/said"
printf 'pare: 1\nname: x\nmodel: %s\ndata: {evaluate: {from: %s}}\nstages: [{plugin: quantize}]\n' \
    "$vit" "$tmp/others" >"$tmp/others.yaml"
"$pare" plan "$tmp/others.yaml" --db "$tmp/none.db" >"$tmp/plan" 2>"$tmp/err"
ok "... and by plan" grep -q '^note: .*alphabetical order, ant first' "$tmp/plan"
"$pare" bench "$vit" --data "$tmp/others" --visits 6 --format json >"$tmp/bench" 2>"$tmp/err"
result $? "bench: on the few samples that there are"
"$pare" bench "$tmp/m" --visits 6 --format json >"$tmp/bench" 2>"$tmp/err"
result $? "bench --format json"
awk "BEGIN { lo = $(member latency_ms_lo <"$tmp/bench"); x = $(member latency_ms <"$tmp/bench"); hi = $(member latency_ms_hi <"$tmp/bench"); exit !(0 < lo && lo <= x && x <= hi) }"
result $? "bench: an interval around the median"
is "bench --layers: a row per operation" "$("$pare" bench "$tmp/m" --layers --format csv | cut -d, -f1 | grep -c '^layer.0')" 12

# ---- apply
fails_with 2 "^pare: bits=99: " "apply: a value out of range, as typed" \
    "$pare" apply "$vit" quantize bits=99 -o "$tmp/applied"
is "... said once, hint and all" 1 "$("$pare" apply "$vit" quantize bist=9 -o "$tmp/applied" 2>&1 | grep -c hint)"
fails_with 2 "'bits=8' and 'bits=4' set the same" "apply: a parameter twice" \
    "$pare" apply "$vit" quantize bits=8 bits=4 -o "$tmp/applied"
ok "apply: no data where the setting wants none" \
    "$pare" apply "$vit" layer-drop choose=layers 'layers=[3]' -o "$tmp/without"
ok "... nor by magnitude" \
    "$pare" apply "$vit" prune criterion=magnitude pattern=2:4 -o "$tmp/without2"
fails_with 2 "plugin 'layer-drop' needs calibration data" "... but for what takes a branch's place" \
    "$pare" apply "$vit" layer-drop choose=layers 'layers=[3]' replace=mean -o "$tmp/without3"
fails_with 2 "hint: name them with --data FOLDER and --split NAME" "apply: calibration data are missing" \
    "$pare" apply "$vit" prune criterion=wanda -o "$tmp/applied"
[ ! -e "$tmp/applied" ]
result $? "... leaves nothing"
"$pare" apply "$vit" quantize bits=8 -o "$tmp/applied" >"$tmp/out" 2>"$tmp/err"
result $? "apply"
grep -q '^size  3.02 MB -> .* kB (3[.].*x)$' "$tmp/out" && grep -q '^MACs  .* -> [1-9].* (1.00x)$' "$tmp/out"
result $? "apply: tells what became of size and work"
fails_with 2 'is there already' "apply: does not overwrite" "$pare" apply "$vit" quantize bits=4 -o "$tmp/applied"
ok "apply --force" "$pare" apply "$vit" quantize bits=4 -o "$tmp/applied" --force

# ---- pipelines
fails_with 2 '^--set data.evaluate.samples=abc: error' "plan --set: a mistake is blamed on what was typed" \
    "$pare" plan "$PARE_TOP_SRC/pipelines/first.yaml" -s data.evaluate.samples=abc
"$pare" init "$vit" "$data" >"$tmp/new.yaml" 2>"$tmp/err"
result $? "init"
"$pare" plan "$tmp/new.yaml" --db "$tmp/none.db" >"$tmp/plan" 2>"$tmp/err"
result $? "init: can be planned"
is "plan: makes no database" "" "$(ls "$tmp" | grep none.db)"
ok "plan: states" grep -q '^baseline  *new  *(untouched)' "$tmp/plan"
ok "plan: selectors" grep -q '49 of 50 linears' "$tmp/plan"
ok "plan: no history" grep -q '^estimate: time to build and evaluate unknown .* to time, at most .* of disk' "$tmp/plan"
# what no variant of this model can have is said before any work
printf 'pare: 1\nmodel: %s\ndata: {calibrate: {from: %s, split: calibration, samples: 8}}\nmeasure: {latency: {}}\nstages: [{plugin: layer-drop, with: {count: [1, 40]}}]\n' \
    "$vit" "$data" >"$tmp/drop.yaml"
"$pare" plan "$tmp/drop.yaml" --db "$tmp/none.db" >"$tmp/plan" 2>"$tmp/err"
result $? "plan: with a count that the model has not"
ok "... which is impossible" grep -q '^drop40  *impossible .* count is 40, but there are 8 to drop from' "$tmp/plan"
ok "... and that a score decides" grep -q '^note: layer-drop: what score picks is decided at run time by cosine' "$tmp/plan"
fails_with 2 'cannot run in any combination: .*count is 40' "plan: nothing but impossible counts" \
    "$pare" plan "$tmp/drop.yaml" --set 'stages.0.with={choose: even, count: 40}' --db "$tmp/none.db"
"$pare" plan "$tmp/drop.yaml" --set 'stages.0.with={choose: even, count: 2}' --db "$tmp/none.db" >"$tmp/plan" 2>"$tmp/err"
is "plan: a score that is not asked decides nothing" 0 "$(grep -c 'is decided at run time' "$tmp/plan")"
"$pare" plan "$tmp/drop.yaml" --set measure.latency.big.threads=1000 --db "$tmp/none.db" >"$tmp/plan" 2>"$tmp/err"
ok "plan: more threads than CPUs" grep -q '^note: shape big: 1000 threads on ' "$tmp/plan"
# the reference: its smallest example, and its sections together, are pipelines
page=$PARE_TOP_SRC/docs/pipelines.md
blocks() { # KEY: the examples that begin with it
    awk -v key="$1:" '/^```yaml$/ { inside = 1; first = 1; take = 0; next }
        /^```$/ { inside = 0 }
        inside && first { take = index($0, key) == 1; first = 0 }
        inside && take { print }' "$page" | sed "s|\.\./share|$PARE_TOP_SRC/share|g"
}
blocks pare >"$tmp/smallest.yaml"
ok "reference: the smallest example" "$pare" plan "$tmp/smallest.yaml" --db "$tmp/none.db"
blocks name >"$tmp/text.yaml"
ok "reference: the example of a language model" "$pare" plan "$tmp/text.yaml" --db "$tmp/none.db"
{
    printf 'pare: 1\nmodel: %s\n' "$vit"
    for key in data stages measure select limits; do blocks "$key"; done
} >"$tmp/sections.yaml"
ok "reference: its sections together" "$pare" plan "$tmp/sections.yaml" --db "$tmp/none.db"
ok "schema" sh -c '"$1" schema -o "$2/.pare/schema.json" && grep -q quantize "$2/.pare/schema.json"' sh "$pare" "$tmp"
is "plugins: all kinds" "allocate score transform" "$("$pare" plugins --format csv | sed 1d | cut -d, -f2 | sort -u | tr '\n' ' ' | sed 's/ $//')"
ok "plugins: one, in full" sh -c '"$1" plugins quantize | grep -q "^bits  *integer  *2 to 8"' sh "$pare"

# ---- the manual and the completions name every command
for command in $("$pare" help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
    grep -Eq "^\.(It|Ss) (Nm pare )?(Cm )?$command\b" "$PARE_TOP_SRC/docs/pare.1"
    result $? "manual: $command"
done
done_testing

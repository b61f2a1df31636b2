#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Data sets of texts: classes, choices, pairs with a score, by `eval` and in pipelines; losses of tokens.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"
LC_ALL=C OMP_NUM_THREADS=1
export LC_ALL OMP_NUM_THREADS
story=$PARE_TOP_SRC/share/models/stories260K/stories260K.gguf
alice=$PARE_TOP_SRC/share/data/alice/test.txt
member() { sed -n "s/^  \"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p"; }
holds() {
    awk "BEGIN { exit !($2) }"
    result $? "$1 ($2)"
}
eval_json() { "$pare" eval "$@" --format json 2>"$tmp/err"; }
without_time() { grep -Ev '"(seconds|split)"'; }

# A family's fixture with a tokenizer of letters.
model_of() { # FAMILY
    cp -R "$PARE_TOP_SRC/tests/fixtures/families/$1" "$tmp/$1" && chmod -R u+w "$tmp/$1"
    cat >"$tmp/$1/tokenizer.json" <<END
{"version": "1.0", "added_tokens": [
 {"id": 0, "content": "[CLS]", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false},
 {"id": 1, "content": "[SEP]", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}],
 "normalizer": null, "pre_tokenizer": null, "decoder": null, "post_processor": {"type": "TemplateProcessing",
 "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
 "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
  {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
 "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [0], "tokens": ["[CLS]"]}, "[SEP]": {"id": "[SEP]", "ids": [1], "tokens": ["[SEP]"]}}},
 "model": {"type": "BPE", "vocab": {"[CLS]": 0, "[SEP]": 1, "a": 2, "b": 3, "c": 4, "d": 5, "e": 6, "f": 7, "g": 8, " ": 9}, "merges": []}}
END
}

# ---- choices
cat >"$tmp/tales.jsonl" <<'END'
{"context": "Once upon a time, there was a little", "choices": ["girl named Lily.", "of the the cat", "zq xk"], "answer": 0}
{"question": "Lily liked to ", "endings": ["of and was", "play outside."], "label": "B"}
{"query": "One day, Tim went to the", "choices": ["park with his mom.", "and was said"], "gold": "0"}
{"query": "The dog was very", "choices": ["happy.", "happily the mom went"], "gold": 1}
END
eval_json "$story" "$tmp/tales.jsonl" >"$tmp/tales"
result $? "eval: choices"
is "eval: choices: three of four are what it would say" "4 3 0.75" \
    "$(member n <"$tmp/tales") $(member correct <"$tmp/tales") $(member top1 <"$tmp/tales")"
holds "eval: choices: intervals" "$(member top1_lo <"$tmp/tales") < 0.75 && 0.75 < $(member top1_hi <"$tmp/tales") && $(member acc_norm_lo <"$tmp/tales") < $(member acc_norm <"$tmp/tales")"
is "eval: the same by --data, and with more threads" "$(without_time <"$tmp/tales")" \
    "$(eval_json "$story" --data "$tmp/tales.jsonl" --threads 2 | without_time)"
eval_json "$story" "$tmp/tales.jsonl" --skip 3 --samples 1 >"$tmp/last"
is "eval: --samples and --skip count lines" "1 0" "$(member n <"$tmp/last") $(member correct <"$tmp/last")"

# ---- mistakes
bad() { # NAME TEXT PATTERN WHAT
    printf "$2" >"$tmp/$1"
    fails_with 2 "$1:$3" "eval: $4" "$pare" eval "$story" "$tmp/$1"
}
bad a.jsonl '{"query": "a", "choices": ["b", "c"], "gold": 0}\n{"query": "a", "choices": ["b", "c"]}\n' "2:1: a key is missing" "a key is missing"
bad b.jsonl '{"query": "a", "choices": ["b", "c"], "gold": 2}\n' "1:39: 'gold' is none of the choices" "an answer out of range"
bad c.jsonl '{"query": "a", "choices": ["b", ""], "gold": 0}\n' "1:16: 'choices' has an empty one" "an empty choice"
bad d.jsonl '{"query": "\377", "choices": ["b", "c"], "gold": 0}\n' "1:12: this is no text in UTF-8" "not UTF-8"
bad e.jsonl '' "1:1: the file has no samples" "no samples"
printf 'text\tlabel\na\t0\n' >"$tmp/x.tsv"
fails_with 2 'give classes; this one gives next tokens' "eval: texts with classes are not for it" "$pare" eval "$story" "$tmp/x.tsv"
fails_with 2 'is the data set already' "eval: two data sets" "$pare" eval "$story" "$tmp/tales.jsonl" --text "$alice"
fails_with 2 'window goes with a plain text' "eval: --window of choices" "$pare" eval "$story" "$tmp/tales.jsonl" --window 8

# ---- plain texts
eval_json "$story" "$alice" --window 128 --samples 4 --nll "$tmp/a.npy" >"$tmp/text"
result $? "eval: a plain text by its name, and the losses of its tokens"
is "... 4 bytes for each, behind the header" "$((128 + 4 * $(member n <"$tmp/text")))" "$(wc -c <"$tmp/a.npy" | tr -d ' ')"
fails_with 2 'exists|is there already' "eval: --nll does not overwrite" "$pare" eval "$story" "$alice" --nll "$tmp/a.npy"

# ---- a pipeline of choices
PARE_DB=$tmp/x.db
export PARE_DB
for _ in 1 2 3 4 5 6 7 8; do cat "$tmp/tales.jsonl"; done >"$tmp/many.jsonl"
cat >"$tmp/tales.yaml" <<END
pare: 1
model: $story
data: {evaluate: {from: many.jsonl, skip: 4}, confirm: {from: many.jsonl, samples: 4}}
stages: [{plugin: quantize, optional: true, with: {bits: [8, 2], group_size: 32}}]
measure: {top1: {}, acc_norm: {}}
select: {objectives: {top1: {}, size_bytes: {}}, constraints: ["acc_norm >= baseline - 0.9"]}
END
ok "run: choices" "$pare" run "$tmp/tales.yaml"
is "run: top1 as eval has it" "0.75" "$(sql "$PARE_DB" "select top1 from variants where label = 'baseline'")"
is "run: acc_norm as eval has it" "$(member acc_norm <"$tmp/tales")" "$(sql "$PARE_DB" "select acc_norm from variants where label = 'baseline'")"
is "run: every sample is kept" 28 \
    "$(sql "$PARE_DB" "select count(*) from samples where label = 'q2' and role = 'evaluate' and target is not null and predicted is not null and nll is not null")"
"$pare" front >"$tmp/out" 2>"$tmp/err" && grep -q 'top1' "$tmp/out"
result $? "front: choices"
first_columns() { "$pare" list "$1" --format csv | head -n 1 | cut -d, -f3-"$2"; }
is "list: what was measured, the objective's first" top1,d_top1,acc_norm "$(first_columns tales 5)"
sed 's/^name.*//; s/objectives: {top1: {}/objectives: {acc_norm: {}/' "$tmp/tales.yaml" >"$tmp/norm.yaml"
ok "run: choices, by acc_norm" "$pare" run "$tmp/norm.yaml"
is "list: ... by acc_norm" acc_norm,top1,d_top1 "$(first_columns norm 5)"
"$pare" front norm >"$tmp/out" 2>"$tmp/err" && grep -q ' acc_norm  *vs baseline ' "$tmp/out"
result $? "front: the metric of the objective"
"$pare" pick norm >"$tmp/out" 2>"$tmp/err" && grep -q '^confirmed on confirm: acc_norm' "$tmp/out"
result $? "pick: ... confirmed by it"
fails_with 1 'spearman: .* below .measure' "pick --where: what would measure it" "$pare" pick norm --where 'spearman >= 0.5'
cat >"$tmp/wrong.yaml" <<END
pare: 1
model: $story
data: {evaluate: {from: many.jsonl}, calibrate: {from: many.jsonl}}
stages: [{plugin: quantize, with: {bits: 8}}]
measure: {perplexity: {}}
END
fails_with 2 'perplexity is of plain texts; .evaluate. holds choices' "plan: a metric of other texts" "$pare" plan "$tmp/wrong.yaml"
fails_with 2 'labelled texts are not calibrated on' "plan: calibration wants a plain text" "$pare" plan "$tmp/wrong.yaml"

# ---- init
for _ in 1 2 3; do cat "$tmp/many.jsonl"; done >"$tmp/lots.jsonl"
"$pare" init "$story" "$tmp/lots.jsonl" >"$tmp/new.yaml" 2>"$tmp/err" && "$pare" plan "$tmp/new.yaml" >"$tmp/out" 2>"$tmp/err" && grep -q 'acc_norm' "$tmp/new.yaml"
result $? "init: of choices can be planned"

# ---- losses of tokens in the database
cat >"$tmp/text.yaml" <<END
pare: 1
model: $story
data: {evaluate: {from: $alice, window: 128, samples: 4}}
stages: [{plugin: quantize, optional: true, with: {bits: 8, group_size: 32}}]
measure: {perplexity: {}}
END
ok "run: a plain text" "$pare" run "$tmp/text.yaml"
is "run: every token is kept" "2 4 508 2032" \
    "$(sql "$PARE_DB" "select count(*) || ' ' || max(windows) || ' ' || max(tokens) || ' ' || max(length(nll)) from token_losses where pipeline = 'text'")"
ok "export --nll" "$pare" export text:baseline --nll -o "$tmp/b.npy"
ok "export --nll: those of eval, byte for byte" cmp "$tmp/a.npy" "$tmp/b.npy"
is "list: of a plain text" perplexity,d_nll "$(first_columns text 4)"
"$pare" show text:q8 >"$tmp/out" 2>"$tmp/err" && grep -q '^perplexity ' "$tmp/out" && grep -q 'without *d_nll' "$tmp/out"
result $? "show: perplexity, and what stages do to it"
"$pare" why text:q8 --no-profile >"$tmp/out" 2>"$tmp/err" && grep -q 'without *d_nll' "$tmp/out" && ! grep -q d_top1 "$tmp/out"
result $? "why: what stages do to it"
fails_with 2 'goes with one variant' "export --nll with --hf" "$pare" export q8 --nll --hf -o "$tmp/c.npy"

# ---- pairs with a score
model_of minilm
{
    printf 'sentence1\tsentence2\tscore\n'
    i=0
    for a in abc dd 'a b' gfe cab fff bag 'c d e'; do
        for b in abd ddd g 'e f'; do
            i=$((i + 1))
            printf '%s\t%s\t%d.5\n' "$a" "$b" "$((i * 7 % 5))"
        done
        printf '%s\t%s\t9\n' "$a" "$a"
    done
} >"$tmp/pairs.tsv"
eval_json "$tmp/minilm" "$tmp/pairs.tsv" --samples 30 >"$tmp/pairs"
result $? "eval: pairs with a score"
is "eval: pairs: as many as asked for" 30 "$(member n <"$tmp/pairs")"
holds "eval: pairs: rho and its interval" "$(member spearman_lo <"$tmp/pairs") < $(member spearman <"$tmp/pairs") && $(member spearman <"$tmp/pairs") < $(member spearman_hi <"$tmp/pairs") && $(member spearman_hi <"$tmp/pairs") <= 1"
sed '2,$s/[0-9.]*$/1/' "$tmp/pairs.tsv" >"$tmp/even.tsv"
ok "eval: pairs of one score" "$pare" eval "$tmp/minilm" "$tmp/even.tsv"
grep -q 'note: .*has no rank correlation: all scores are the same' "$tmp/err"
result $? "... say why there is no figure"
printf 'sentence1\tsentence2\tscore\na\ta\t1\nb\tb\t2\nc\tc\t3\nd\td\t4\n' >"$tmp/alike.tsv"
"$pare" eval "$tmp/minilm" "$tmp/alike.tsv" >"$tmp/out" 2>"$tmp/err" && grep -q 'all similarities are the same' "$tmp/err"
result $? "eval: pairs of one similarity"
cat >"$tmp/sts.yaml" <<END
pare: 1
model: minilm
data: {evaluate: {from: pairs.tsv, samples: 30}, confirm: {from: pairs.tsv, skip: 30}}
stages: [{plugin: quantize, optional: true, with: {bits: [8, 2]}}]
select: {objectives: {spearman: {tolerance: 0.001}, size_bytes: {}}, constraints: ["spearman >= baseline - 0.9"]}
END
ok "run: pairs, timed as whole texts" "$pare" run "$tmp/sts.yaml"
is "run: spearman as eval has it" "$(member spearman <"$tmp/pairs" | cut -c1-8)" \
    "$(sql "$PARE_DB" "select substr(spearman, 1, 8) from variants where pipeline = 'sts' and label = 'baseline'")"
of_variant() { sql "$PARE_DB" "select $1 from $2 where pipeline = 'sts' and label = '$3' $4"; }
rho=$(of_variant spearman variants q2)
holds "run: the parts' mean is rho, and their mean difference the paired one" \
    "($rho - $(of_variant 'avg(part)' similarities q2 "and role = 'evaluate'"))^2 < 1e-10 && ($rho - $(of_variant spearman variants baseline) - $(of_variant d_spearman variants q2))^2 < 1e-10"
"$pare" front sts >"$tmp/out" 2>"$tmp/err" && grep -q spearman "$tmp/out"
result $? "front: pairs"

"$pare" pick sts --min size_bytes >"$tmp/out" 2>"$tmp/err" && grep -q '^confirmed on evaluate: spearman' "$tmp/out"
result $? "pick: confirmed on held-back pairs"
fails_with 2 '40 samples: too few to divide' "init: too few pairs" "$pare" init "$tmp/minilm" "$tmp/pairs.tsv"
{ cat "$tmp/pairs.tsv" && sed 1d "$tmp/pairs.tsv"; } >"$tmp/lots.tsv"
"$pare" init "$tmp/minilm" "$tmp/lots.tsv" >"$tmp/new.yaml" 2>"$tmp/err" && "$pare" plan "$tmp/new.yaml" >"$tmp/out" 2>"$tmp/err" && grep -q 'spearman >=' "$tmp/new.yaml"
result $? "init: of pairs can be planned"
fails_with 2 'name labelled texts' "init: a plain text for what does not write" "$pare" init "$tmp/minilm" "$alice"

# ---- classes
model_of bert
printf 'text\tlabel\nabc\t0\nd e\t1\ngfe\t0\ncab\tlabel_1\n' >"$tmp/classes.tsv"
printf '{"text": "abc", "label": 0}\n{"text": "d e", "label": 1}\n{"text": "gfe", "label": "0"}\n{"text": "cab", "label": 1}\n' >"$tmp/classes.jsonl"
eval_json "$tmp/bert" "$tmp/classes.tsv" >"$tmp/classes"
result $? "eval: classes"
is "eval: the same as JSON lines" "$(without_time <"$tmp/classes")" \
    "$(eval_json "$tmp/bert" "$tmp/classes.jsonl" | without_time)"
printf 'text\tlabel\nabc\t99\n' >"$tmp/range.tsv"
fails_with 2 "range.tsv:2:5: 'label' is out of range" "eval: a class out of range" "$pare" eval "$tmp/bert" "$tmp/range.tsv"
given=$PARE_TOP_BUILD/tests/plugins/.libs/given-metric.so
if [ -f "$given" ]; then
    ok "eval --metric: of texts with classes" \
        sh -c "'$pare' eval '$tmp/bert' '$tmp/classes.tsv' --metric '$given' --format json | grep -q '\"given-metric_hi\": -*[0-9]'"
    fails_with 2 "--metric goes with classes" "eval --metric: not of pairs" \
        "$pare" eval "$tmp/minilm" "$tmp/lots.tsv" --metric "$given"
else
    skip "eval --metric" "given-metric is not built"
fi
done_testing

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A metric that a plugin brings, from `plugin new` to `pick`: as objective and constraint, measured once, and anew with
# another setting.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"
LC_ALL=C NO_COLOR=1
export LC_ALL NO_COLOR

cc=${CC:-cc}
if ! command -v "$cc" >/dev/null 2>&1; then
    skip "a metric of a plugin" "there is no $cc"
    done_testing
    exit
fi
id=org.example.brier
ok "plugin new --kind metric" "$pare" plugin new brier --kind metric -o "$tmp/brier"
ok "it is built" "$cc" -std=c11 -shared -fPIC "-I$PARE_TOP_SRC/core/include" -o "$tmp/$id.so" "$tmp/brier/brier.c" -lm
"$pare" plugins "$tmp/$id.so" >"$tmp/told"
is "plugins tells what it is" "metric, lower is better" \
    "$(sed -n 's/^kind  *\(.*\)/\1, /p; s/^values  *//p' "$tmp/told" | tr -d '\n')"
sed 's/values\[i\] = brier(.*;/values[i] = NAN;/' "$tmp/brier/brier.c" >"$tmp/nothing.c"
ok "a metric without a value" "$cc" -std=c11 -shared -fPIC "-I$PARE_TOP_SRC/core/include" -o "$tmp/nothing.so" "$tmp/nothing.c" -lm
ok "plugin check warns of one" sh -c "'$pare' plugin check '$tmp/nothing.so' --only families |
    grep -q '^warn  families .*it measures nothing'"
ok "and of no other" "$pare" plugin check --strict "$tmp/$id.so" --only families
fashion=$PARE_TOP_SRC/share/data/fashion-mnist
cat >"$tmp/p.yaml" <<YAML
pare: 1
name: p
model: $PARE_TOP_SRC/share/models/fashion-vit
data:
  evaluate: {from: $fashion, split: test, samples: 900}
  confirm: {from: $fashion, split: test, skip: 900, samples: 100}
stages:
  - {id: quant, plugin: quantize, with: {bits: [8, 2]}}
measure: {top1: {}, ./$id.so: {temperature: 1}, latency: {edge: {batch: 1, threads: 1}}}
select:
  objectives: {$id: {tolerance: 0.001}, size_bytes: {}}
  constraints: ["$id <= 1.3 * baseline"]
YAML
run() { # DATABASE ARGUMENTS...
    db=$tmp/$1.db
    shift
    "$pare" run "$tmp/p.yaml" --db "$db" --rounds 2 "$@" >"$tmp/out" 2>"$tmp/err"
    code=$?
    cat "$tmp/out" "$tmp/err" >"$tmp/said"
    return $code
}
db=$tmp/a.db
ok "a run" run a
figures="select group_concat(label || ' ' || value || ' ' || n, ';') as a from (select * from measurements where metric =
    '$id' and role = 'evaluate' order by label)"
all=$(sql "$db" "$figures")
is "all have the figure, of all samples" "3,900,1,1" "$("$pare" query "select count(*), min(n), max(how = 'normal 95 %'),
    min(value > 0 and value < 2 and lo < value and value < hi) from measurements where metric = '$id' and role = 'evaluate'" \
    --db "$db" --format csv | tr -d '\r' | sed -n 2p)"
is "the confirmed ones on held-back samples too" 100 "$(sql "$db" "select min(n) from measurements where metric = '$id' and
    role = 'confirm'")"
is "metrics tells of it" "p,$id,1,min,0.1.0,\"{\"\"temperature\"\":1}\"" "$("$pare" query "select pipeline, metric, unit, direction,
    plugin_version, settings from metrics" --db "$db" --format csv | tr -d '\r' | sed -n 2p)"
is "its samples were predicted" "2700" "$(sql "$db" "select count(*) from samples where role = 'evaluate'")"

"$pare" eval "$PARE_TOP_SRC/share/models/fashion-vit" "$fashion" --split test --samples 900 --metric "$tmp/$id.so" \
    --format json >"$tmp/eval"
is "eval --metric has the baseline's figure" 1 "$(sql "$db" "select count(*) as n from measurements where metric = '$id' and
    label = 'baseline' and role = 'evaluate' and abs(value - $(sed -n "s/.*\"$id\": \([0-9.e-]*\).*/\1/p" "$tmp/eval")) < 1e-12")"
fails_with 2 "'quantize' is no metric" "eval --metric: of another kind" \
    "$pare" eval "$PARE_TOP_SRC/share/models/fashion-vit" "$fashion" --split test --metric quantize

# ---- choosing by it
ok "front shows it" sh -c "'$pare' front --db '$db' | grep -q 'vs baseline  *$id'"
ok "front: what breaks the constraint" \
    sh -c "'$pare' front --all --db '$db' | grep -q 'q2 .*infeasible  breaks $id <= 1.3 . baseline'"
ok "front --format csv: a column" sh -c "'$pare' front --db '$db' --format csv | head -n 1 | grep -q ',$id'"
"$pare" pick --db "$db" --min $id --where "$id <= 1.2 * baseline" >"$tmp/pick"
ok "pick goes by it" grep -q "^by $id, then size_bytes where $id <= 1.2 . baseline" "$tmp/pick"
ok "pick tells the difference" grep -Eq "^  $id +0\.[0-9]+ +[-+]0\.[0-9]+ \[" "$tmp/pick"
fails_with 2 "$id is better when it is lower" "pick knows the direction" "$pare" pick --db "$db" --max $id
is "list has the column" "label,$id" "$("$pare" list --db "$db" -c label,$id --sort $id --format csv | tr -d '\r' | head -n 1)"
is "list sorts by it: the worst comes last" "q2" "$("$pare" list --db "$db" -c label --sort $id --format csv | tr -d '\r' | tail -n 1)"
ok "list shows it unasked" sh -c "'$pare' list --db '$db' | head -n 1 | grep -q '$id'"
ok "why compares it" sh -c "'$pare' why q8 --no-profile --db '$db' | grep -q '$id .*: .*each by itself'"
ok "show has the figure" sh -c "'$pare' show q8 --db '$db' | grep -q '^$id '"
is "complete knows which way is better" "$id" "$(PARE_DB=$db "$pare" complete -- pick --min org | cut -f1)"
is "and which not" "" "$(PARE_DB=$db "$pare" complete -- pick --max org | cut -f1)"

# ---- what is there is not measured again
ok "running again" run a
is "does nothing" 1 "$(grep -c '0 built, 0 evaluated, 0 timed' "$tmp/said")"
is "and plan says so" 1 "$("$pare" plan "$tmp/p.yaml" --db "$db" 2>/dev/null | grep -c '3 cached')"
sed -i.old 's/temperature: 1}/temperature: 2}/' "$tmp/p.yaml"
is "another setting: plan says what lacks" 1 "$("$pare" plan "$tmp/p.yaml" --db "$db" 2>/dev/null | grep -c '3 partly')"
ok "another setting" run a
is "is measured, and nothing built" 1 "$(grep -c '0 built, [345] evaluated, 0 timed' "$tmp/said")"
is "with other figures" 1 "$([ "$(sql "$db" "$figures")" != "$all" ] && echo 1)"
is "only the new ones are shown" 3 "$(sql "$db" "select count(*) from measurements where metric = '$id' and role = 'evaluate'")"
mv "$tmp/p.yaml.old" "$tmp/p.yaml"
ok "the first setting again" run a
is "finds its figures" "$all,1" "$(sql "$db" "$figures"),$(grep -c '0 built, 0 evaluated' "$tmp/said")"
cp "$tmp/p.yaml" "$tmp/none.yaml"
sed -i.old "s|./$id.so: {temperature: 1}, ||; /objectives/d; /constraints/d; s/^select:.*//" "$tmp/none.yaml"
ok "a pipeline without it" "$pare" run "$tmp/none.yaml" --db "$db" --no-latency
is "shows nothing of it" 0 "$(sql "$db" "select count(*) from metrics")"

# ---- racing looks at samples in another order, part by part
ok "a race" run race --set search.racing=true
is "gives the same figures" 1 "$([ "$(sql "$tmp/race.db" "select count(*) as n from measurements m where metric = '$id' and
    role = 'evaluate' and value > 0")" -eq 3 ] && echo 1)"
is "to the last digits" "$("$pare" query "select label, round(value, 12) as v, n from measurements where metric = '$id' and
    role = 'evaluate' order by label" --db "$tmp/race.db" --format csv)" \
    "$(run b >/dev/null; "$pare" query "select label, round(value, 12) as v, n from measurements where metric = '$id' and
    role = 'evaluate' order by label" --db "$tmp/b.db" --format csv)"

# ---- what is wrong is said
fails_with 2 "unknown parameter 'temprature'.*|did you mean 'temperature'" "plan: a misspelt parameter" \
    "$pare" plan "$tmp/p.yaml" --set "measure={./$id.so: {temprature: 1}}"
fails_with 2 "'temperature' is out of range: 21" "plan: out of range" \
    "$pare" plan "$tmp/p.yaml" --set "measure={./$id.so: {temperature: 21}}"
sed 's/"org.example.brier"/"label"/' "$tmp/brier/brier.c" >"$tmp/label.c"
ok "a metric that is called as a column" "$cc" -std=c11 -shared -fPIC "-I$PARE_TOP_SRC/core/include" -o "$tmp/label.so" \
    "$tmp/label.c" -lm
fails_with 2 "'label' cannot be measured: its id could be that of a column" "... is refused, at its key" \
    "$pare" plan "$tmp/p.yaml" --set "measure={./label.so: {}}" --set 'select={objectives: {size_bytes: {}}}'
sed 's/values\[i\] = brier/values[i] = outputs->samples + brier/' "$tmp/brier/brier.c" >"$tmp/batch.c"
ok "a metric that hangs on the batch" "$cc" -std=c11 -shared -fPIC "-I$PARE_TOP_SRC/core/include" -o "$tmp/batch.so" "$tmp/batch.c" -lm
"$pare" plugin check "$tmp/batch.so" --only families >"$tmp/out" 2>"$tmp/err"
grep -q '^fail  families  *vit: its own logits: sample 0 is .* in one batch, .* in batches of 1$' "$tmp/out"
result $? "plugin check: tells on which model's logits"
given=$PARE_TOP_BUILD/tests/plugins/.libs/given-metric.so
if [ -f "$given" ]; then
    sed "s|./$id.so: {temperature: 1}|$given: {how: infinite}|; /objectives/d; /constraints/d; s/^select:.*//" \
        "$tmp/p.yaml" >"$tmp/given.yaml"
    fails_with 1 "untouched model could not be evaluated" "a value that is not finite" \
        "$pare" run "$tmp/given.yaml" --db "$tmp/given.db" --no-latency
    is "is a failure with its reason" "numbers: metric 'given-metric' gave a sample a value that is not finite: sample 0 of a batch of 16, of 10 classes: inf" \
        "$(sql "$tmp/given.db" "select cause || ': ' || reason as r from attempts where phase = 'eval' limit 1" | tr -d '"')"
    for how in "refuse: metric 'given-metric': these are not to be measured" \
        "crash: crashed with signal 11 (Segmentation fault); it measured with $id, given-metric"; do
        sed "s|./$id.so: {temperature: 1}|&, $given: {how: ${how%%:*}}|" "$tmp/none.yaml.old" >"$tmp/named.yaml"
        fails_with 1 "untouched model could not be evaluated" "one of two that is to ${how%%:*}" \
            "$pare" run "$tmp/named.yaml" --db "$tmp/${how%%:*}.db" --no-latency
        is "is named in the reason" "${how#*: }" \
            "$(sql "$tmp/${how%%:*}.db" "select reason from attempts where phase = 'eval' limit 1" | sed 's/^"//; s/"$//')"
    done
    sed "s|./$id.so: {temperature: 1}|$given: {how: none}|; s|{$id: {tolerance: 0.001}|{given-metric: {}|; /constraints/d" \
        "$tmp/p.yaml" >"$tmp/empty.yaml"
    ok "a value for no sample" "$pare" run "$tmp/empty.yaml" --db "$tmp/empty.db" --no-latency
    ok "... front says so" sh -c "'$pare' front --all --db '$tmp/empty.db' |
        grep -q '^limits the decision: given-metric has a value for no sample'"
    ok "... of each variant, too" sh -c "'$pare' front --all --db '$tmp/empty.db' | grep -q 'q8 .*given-metric has a value for no sample'"
    fails_with 1 "nothing to pick from: given-metric of the baseline has a value for no sample" "... and pick" \
        "$pare" pick --db "$tmp/empty.db"
    fails_with 2 "plugins measure the logits of classes; .evaluate. holds a plain text" "plan: not of plain texts" \
        "$pare" plan "$tmp/given.yaml" --set "model=$PARE_TOP_SRC/share/models/stories260K/stories260K.gguf" \
        --set "data={evaluate: {from: $PARE_TOP_SRC/share/data/alice, split: test}}" --set "measure={$given: {}}"
else
    skip "a metric that goes wrong" "given-metric is not built"
fi
done_testing

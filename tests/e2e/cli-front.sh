#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The commands that read figures: what they print of a database whose content is known.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"
LC_ALL=C NO_COLOR=1
export LC_ALL NO_COLOR
db=$tmp/tiny.db
ok "a database with known figures" "$PARE_TOP_BUILD/tests/e2e/fill_store" "$db"
PARE_DB=$db
export PARE_DB

# ---- front
cat >"$tmp/want" <<'TXT'
tiny: 9 variants, 1 failed, 1 impossible | test[0:2000] n=2000 | edge: batch 1, 1 thread | host nuc, session 1, 12 rounds
      p  variant     top1  vs baseline       latency ms           speed-up              size  ratio
*  0.80  drop2+q8  0.8915  -0.0085 +-0.0043  0.491 [0.489,0.493]  2.05x [2.04,2.07]   610 kB   4.9x
*  1.00  drop1+q8  0.8975  -0.0025 +-0.0026  0.559 [0.557,0.562]  1.80x [1.80,1.80]   700 kB   4.3x
*  0.99  q8        0.8995  -0.0005 +-0.0017  0.629 [0.627,0.632]  1.60x [1.59,1.61]   800 kB   3.8x
=  base  baseline  0.9000                    1.006 [1.002,1.010]  1.00x              3.00 MB   1.0x
TXT
"$pare" front >"$tmp/front"
is "front: the table" "$(cat "$tmp/want")" "$(head -n 6 "$tmp/front")"
is "front: what is hidden, and the knee" \
    "hidden: 2 out, 1 infeasible (top1), 2 unmeasured (--all)        knee: drop1+q8" \
    "$(sed -n 7p "$tmp/front")"
ok "front: what limits the decision" grep -q '^limits the decision: accuracy' "$tmp/front"
is "front: the next command" "next: pare why drop2+q8 | pare pick" "$(tail -n 1 "$tmp/front")"
is "front: the same twice" "$(cat "$tmp/front")" "$("$pare" front tiny --host nuc --shape edge)"
"$pare" front --all >"$tmp/all"
ok "front --all: why not" grep -q 'infeasible  breaks top1 >= baseline - 0.01' "$tmp/all"
ok "front --all: failures" grep -q 'failed: layer-drop crashed' "$tmp/all"
LC_ALL=C.UTF-8 "$pare" front | grep -q '^●  0.80  drop2+q8'
result $? "front: marks in UTF-8"
"$pare" front --format csv --all >"$tmp/csv"
is "front --format csv: a row each" 10 "$(wc -l <"$tmp/csv" | tr -d ' ')"
is "front --format csv: columns" "pipeline,label,status,p_front,p_feasible,knee,is_knee" \
    "$(head -n 1 "$tmp/csv" | cut -d, -f1-7)"
ok "front --format json" sh -c '"$1" front --format json | grep -q "\"speedup_lo\": 2.03"' sh "$pare"
ok "front --format markdown" sh -c '"$1" front --format markdown | grep -q "^| tiny"' sh "$pare"
"$pare" front --plot >"$tmp/plot"
ok "front --plot: legend" grep -q 'A drop2+q8  B drop1+q8  C q8  = baseline' "$tmp/plot"
is "front --plot: 16 rows and an axis" 17 "$(grep -c '^ *[0-9. ]* [|+]' "$tmp/plot")"
ok "front --plot: ASCII only" sh -c '! LC_ALL=C grep -q "[^ -~]" "$1"' sh "$tmp/plot"

# A kept front reads as it would be made; any commit that may change a figure puts it out of date.
for as in table csv json; do
    "$pare" front --format $as >"$tmp/kept.$as"
done
"$pare" tag drop1+q8 no-figure >/dev/null
is "front: a tag leaves it current" 1 "$(sql "$db" "select current from fronts")"
is "front: what it says in short" "9 top1 drop1+q8" "$(sql "$db" "select format('%d %s %s',
    summary->>'variants', summary->>'$.limit.metric', summary->>'knee') as x from fronts")"
"$pare" tag --delete no-figure >/dev/null
cp "$db" "$tmp/later.db"
"$PARE_TOP_BUILD/tests/e2e/fill_store" --touch "$tmp/later.db"
is "front: out of date" 0 "$(sql "$tmp/later.db" "select current from fronts")"
for as in table csv json; do
    "$pare" front --db "$tmp/later.db" --format $as >"$tmp/made.$as"
    is "front: kept and made anew, $as" "$(cat "$tmp/made.$as")" "$(cat "$tmp/kept.$as")"
done

is "the front that was stored" "baseline front, drop1+q8 sure, drop2+q8 front, q8 sure" \
    "$("$pare" query "select group_concat(label || ' ' || status, ', ') from (select * from front where status in ('sure', 'front') order by label)" --format csv | sed -n '2s/\r$//p' | tr -d '"')"
is "... with its rule" "top1 >= baseline - 0.01" \
    "$(sql "$db" "select distinct rule->>'$.constraints[0]' from front")"
is "... and why the others are not on it" "breaks top1 >= baseline - 0.01" \
    "$(sql "$db" "select why from front where label = 'q4'")"

# ---- pick
"$pare" pick >"$tmp/pick"
ok "pick: by latency within the limit" grep -q '^pick: drop2+q8 ' "$tmp/pick"
ok "pick: the rule" grep -q '^by latency_ms, then size_bytes, top1 where top1 >= baseline - 0.01$' "$tmp/pick"
ok "pick: the margin" grep -q 'limit top1 >= baseline - 0.01: 0.0015 to spare (limit 0.8900)' "$tmp/pick"
ok "pick: the runner-up" grep -q '^runner-up: drop1+q8; the pick against it: latency_ms 0.879x' "$tmp/pick"
ok "pick: faster" grep -q '^  latency_ms  *0.491 ms   2.05x \[2.04, 2.07\] the baseline.s speed: faster$' "$tmp/pick"
ok "pick: smaller" grep -q '^  size_bytes  *610 kB   4.92x less than the baseline$' "$tmp/pick"
"$pare" pick --max top1 --where 'size_bytes <= 500 kB' --where 'top1 >= 0.5' >"$tmp/slow"
ok "pick: slower" grep -q '^  latency_ms .* 0.80x \[0.80, 0.80\] the baseline.s speed: slower$' "$tmp/slow"
ok "pick: the same" grep -q '^  macs  *40.0M   as the baseline$' "$tmp/slow"
hash=$("$pare" pick -q)
is "pick -q: a hash alone" 64 "${#hash}"
is "pick -q: of the pick" drop2+q8 "$(sql "$db" "select label from variants where variant = '$hash'")"
"$pare" pick --max top1 >"$tmp/pick"
ok "pick --max: within the tolerance the next metric decides" grep -q '^pick: q8 ' "$tmp/pick"
"$pare" pick --where 'top1 >= baseline - 0.005' >"$tmp/pick"
ok "pick --where replaces the limit on the same side" grep -q '^pick: drop1+q8 ' "$tmp/pick"
ok "pick: confirmed on held-back samples" \
    grep -q '^confirmed on test\[2000:2500\]: top1 0.8960' "$tmp/pick"
fails_with 4 'nearest miss: q4: size_bytes is 450 kB, the limit 100 kB' "pick: nothing is feasible" \
    "$pare" pick --where 'size_bytes <= 100 kB'
ok "pick --format json" sh -c '"$1" pick --format json | grep -q "\"runner_up\": \"drop1+q8\""' sh "$pare"

# ---- list
is "list: lowest latency first" "drop2+q8 drop1+q8 q8 drop1 baseline p2:4 q4 drop7 drop8" \
    "$("$pare" list --sort latency_ms --columns label --format csv | sed 1d | tr -d '\r' | tr '\n' ' ' | sed 's/ $//')"
is "list --where" "p2:4 q4" \
    "$("$pare" list --where 'speedup < 1' --columns label --format csv | sed 1d | tr -d '\r' | tr '\n' ' ' | sed 's/ $//')"
is "list --alone: one stage each" "baseline drop1 drop7 drop8 p2:4 q4 q8" \
    "$("$pare" list --alone --columns label --format csv | sed 1d | tr -d '\r' | tr '\n' ' ' | sed 's/ $//')"
ok "list --failed: the reason" sh -c '"$1" list --failed | grep -q "drop7 *failed *layer-drop crashed"' sh "$pare"
is "list --limit" 2 "$("$pare" list -n 2 --format csv | sed 1d | wc -l | tr -d ' ')"

# ---- query
is "query: SQL" "9" "$(sql "$db" 'select count(*) from variants')"
is "query: from stdin" "9" "$(echo 'select count(*) from variants' | "$pare" query - --format csv | tr -d '\r' | tail -n 1)"
is "query: a named one with an argument" "layer.0.attn.query layer.1.attn.query" \
    "$("$pare" query @unit-bits label=q8 --format csv | sed 1d | cut -d, -f3 | tr '\n' ' ' | sed 's/ $//')"
is "query: a log of several lines keeps to its row" 3 "$("$pare" query "select 'a
b|c
' as log, 'x' as y union all select '', 'y'" | wc -l | tr -d ' ')"
is "query: ... and is readable" 'a\nb|c  x' "$("$pare" query "select 'a
b|c
' as log, 'x' as y" | sed -n 2p)"
is "query: ... in markdown" '| a<br>b\|c | x |' "$("$pare" query "select 'a
b|c
' as log, 'x' as y" --format markdown | sed -n 3p)"
is "output cut by its reader is no error" "" "$({ "$pare" query "with recursive c(x) as (select 1 union all select x + 1 from c limit 100000) select x from c" | head -n 1 >/dev/null; } 2>&1)"
ok "query --list" sh -c '"$1" query --list | grep -q "^plugin-effects "' sh "$pare"
fails_with 2 'a query can only read' "query: writing is refused" "$pare" query 'delete from variant'
fails_with 2 'did you mean .@failed.' "query: an unknown name" "$pare" query @faild
fails_with 2 'no parameter :x' "query: an argument nothing asks for" "$pare" query 'select 1' x=2

if command -v timeout >/dev/null; then
    fails_with 130 '^pare: interrupted$' "query: Ctrl-C stops it" timeout --preserve-status -s INT 1 "$pare" query \
        'with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c'
else
    skip "query: Ctrl-C stops it" "there is no timeout"
fi

# ---- why, show, diff
"$pare" why q4 >"$tmp/why"
ok "why: where it stands" grep -q '^q4: infeasible.*breaks top1 >= baseline - 0.01' "$tmp/why"
ok "why: the limit" grep -q 'top1 is 0.8595, the limit 0.8900: broken' "$tmp/why"
ok "why: against the baseline" grep -q 'top1 -0.0405 \[-0.0492, -0.0317\]: worse' "$tmp/why"
ok "why: what its stage does" grep -q 'smaller, slower, less accurate' "$tmp/why"
"$pare" why p2:4 >"$tmp/why"
ok "why: the rival" grep -q '^against drop1+q8, which beats it most often:' "$tmp/why"
ok "why: in times, paired" grep -Eq 'latency_ms 2\.00[0-9]x \[.*\]: worse' "$tmp/why"
ok "why --format json" sh -c '"$1" why p2:4 --format json | grep -q "\"rival\": \"drop1+q8\""' sh "$pare"
"$pare" show good >"$tmp/show"
ok "show: by a tag" grep -q '^drop1+q8  [0-9a-f]\{64\}$' "$tmp/show"
ok "show: its notes" grep -q 'the one to ship' "$tmp/show"
ok "show: of a failure, the log" sh -c '"$1" show drop7 | grep -q "^dropping layer 7"' sh "$pare"
ok "show --yaml: its stages" sh -c '"$1" show drop1+q8 --yaml | grep -q "\"plugin\": \"layer-drop\", \"with\": {\"count\": 1}"' sh "$pare"
"$pare" diff q8 drop1+q8 >"$tmp/diff"
ok "diff: parameters" grep -q '^drop.count  *1 *$' "$tmp/diff"
ok "diff: figures, paired" grep -Eq '^top1 .* -0.0020 +-0.0044 +\+0.0004 +paired +no' "$tmp/diff"

is "diff --format csv: whole numbers in full" "macs,40000000,35000000,-5000000" \
    "$("$pare" diff q8 drop1+q8 --format csv | tr -d '\r' | grep '^macs' | cut -d, -f1-4)"

# ---- a second shape
ok "a database with two shapes" "$PARE_TOP_BUILD/tests/e2e/fill_store" --two-shapes "$tmp/two.db"
"$pare" front --shape server --db "$tmp/two.db" >"$tmp/front"
ok "front --shape" grep -q '| server: batch 8, 2 threads | host nuc, session 2, 12 rounds$' "$tmp/front"
ok "front --shape: its latencies" grep -q '^\*  1.00  q8 .* 0.336 \[' "$tmp/front"
"$pare" pick --min latency_ms.server --db "$tmp/two.db" >"$tmp/pick"
ok "pick --min of another shape" grep -q '^pick: q8 ' "$tmp/pick"
ok "pick: figures of both shapes" grep -q '^  latency_ms.server  *0.33[0-9] ms ' "$tmp/pick"
"$pare" pick --where 'latency_ms.server <= 0.2 * baseline' --db "$tmp/two.db" >"$tmp/pick"
ok "pick --where on another shape" grep -q '^pick: q8 ' "$tmp/pick"

# ---- before anything is timed
ok "a database without timing" "$PARE_TOP_BUILD/tests/e2e/fill_store" --untimed "$tmp/untimed.db"
is "front: what is not measured limits the decision" \
    "limits the decision: latency_ms of 7 variants is not measured yet" \
    "$("$pare" front --db "$tmp/untimed.db" | grep '^limits')"
fails_with 1 'nothing to pick from yet: latency_ms' "pick: not yet, which is not infeasible" \
    "$pare" pick --db "$tmp/untimed.db"

# ---- another pipeline on other samples, with the same variants
ok "a database with two pipelines" "$PARE_TOP_BUILD/tests/e2e/fill_store" --two-pipelines "$tmp/both.db"
is "front: each pipeline's own data, one" "test[0:2000] n=2000" \
    "$("$pare" front tiny --db "$tmp/both.db" | sed -n '1s/^[^|]*| \([^|]*\) |.*/\1/p')"
is "front: each pipeline's own data, other" "test[2000:2500] n=500" \
    "$("$pare" front other --db "$tmp/both.db" | sed -n '1s/^[^|]*| \([^|]*\) |.*/\1/p')"
is "pick: what another pipeline measured confirms nothing" \
    "confirmed: no, the pipeline holds no samples back (data: confirm:)" \
    "$("$pare" pick other --db "$tmp/both.db" | grep '^confirmed')"
is "query: what the pipeline holds back by its role" "top1 0.9000 [0.8706, 0.9233], n=500" "$("$pare" query \
    "select printf('top1 %.4f [%.4f, %.4f], n=%d', value, lo, hi, n) from measurements where pipeline = 'tiny' and label = 'baseline' and role = 'confirm'" \
    --db "$tmp/both.db" --format csv | tr -d '\r"' | tail -n 1)"

is "list: of several pipelines, which" "pipeline,label,state" \
    "$("$pare" list --db "$tmp/both.db" --format csv | head -n 1 | cut -d, -f1-3)"
is "list: of one, not" "label,state,top1" "$("$pare" list tiny --db "$tmp/both.db" --format csv | head -n 1 | cut -d, -f1-3)"
is "list: of several shapes, which" "shape,label" "$("$pare" list --db "$tmp/two.db" --format csv | head -n 1 | cut -d, -f1-2)"
fails_with 2 "there is no pipeline 'tyni'" "list: no such pipeline" "$pare" list tyni
fails_with 2 "did you mean 'tiny'" "... and the nearest" "$pare" list tyni

# ---- tags and notes
ok "tag" "$pare" tag q8 shipped
is "tag: is a name" q8 "$("$pare" query 'select v.label from variants v join variant x on x.hash = v.variant join tag t using(variant_id) where tag = :t' t=shipped --format csv | tr -d '\r' | tail -n 1)"
fails_with 2 "'q4' is the label of a variant" "tag: no label" "$pare" tag q8 q4
fails_with 2 "'my best' cannot be a tag" "tag: a word" "$pare" tag q8 'my best'
ok "tag --delete" "$pare" tag --delete shipped
fails_with 2 'shipped' "tag --delete: twice" "$pare" tag --delete shipped
ok "note" "$pare" note q8 'second best'
ok "note: about the database" "$pare" note 'a new rack'
is "note: lists all" "drop1+q8 the one to ship,q8 second best, a new rack," \
    "$("$pare" note --format csv | sed 1d | tr -d '\r' | cut -d, -f2,3 | tr ',\n' ' ,')"
ok "note: is shown" sh -c '"$1" show q8 | grep -q "second best"' sh "$pare"

# ---- db
ok "db check" "$pare" db check
ok "db backup" "$pare" db backup "$tmp/copy.db"
is "db backup: holds the same" 9 "$(sql "$tmp/copy.db" 'select count(*) from variants')"
fails_with 2 'is there already' "db backup: does not overwrite" "$pare" db backup "$tmp/copy.db"
done_testing

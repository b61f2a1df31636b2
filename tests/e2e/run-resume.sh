#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kill -9 at random moments, run again: nothing done is lost or repeated, and the end is the same.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"
first=$PARE_TOP_SRC/pipelines/first.yaml
set -- --set data.evaluate.samples=600 --set data.calibrate.samples=32 --rounds 6

ok "an undisturbed run" "$pare" run "$first" --db "$tmp/whole.db" "$@"
db=$tmp/cut.db
seed=$$
cuts=0
i=0
while [ $i -lt 12 ]; do
    i=$((i + 1))
    "$pare" run "$first" --db "$db" "$@" >/dev/null 2>&1 &
    pid=$!
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    sleep "$(awk -v s=$seed 'BEGIN { printf "%.2f", 0.1 + (s % 1000) / 1000 * 1.6 }')"
    if kill -9 $pid 2>/dev/null; then cuts=$((cuts + 1)); fi
    wait $pid 2>/dev/null
    [ -f "$db" ] || continue
    if [ -z "$(sql "$db" 'select 1')" ]; then
        result 1 "the database opens after cut $i"
    fi
done
is "some runs were cut" 1 "$([ $cuts -ge 3 ] && echo 1)"
# what a killed run left as running is lost, for whoever looks
"$pare" run "$first" --db "$tmp/lost.db" "$@" >/dev/null 2>&1 &
pid=$!
n=0
while [ $n -lt 100 ] && [ "$(sql "$tmp/lost.db" "select count(*) from attempts where state = 'running'")" != 1 ] &&
    [ "$(sql "$tmp/lost.db" "select count(*) from attempts where state = 'running'")" != 2 ]; do
    n=$((n + 1))
    sleep 0.02
done
kill -9 $pid
wait $pid 2>/dev/null
"$pare" list --db "$tmp/lost.db" --columns state --format csv >"$tmp/states" 2>&1
is "after kill -9 nothing is said to be running" 0 "$(grep -c running "$tmp/states")"
is "... an attempt is lost" 1 "$(sql "$tmp/lost.db" "select count(*) > 0 from attempts where state = 'lost'")"

before=$(sql "$db" "select count(*) from attempts where state = 'ok' and phase in ('build', 'eval')")
: >"$db.d/cut.safetensors.1.part"
ok "the run after the cuts ends" "$pare" run "$first" --db "$db" "$@"
is "no unit of work was done twice" 0 "$(sql "$db" "select count(*) from (select 1 from attempts
    where state = 'ok' and phase in ('build', 'eval') group by variant, phase having count(*) > 1)")"
is "what was done stayed done" 1 "$(sql "$db" "select count(*) >= $before from attempts
    where state = 'ok' and phase in ('build', 'eval')")"
is "dead attempts are marked" 0 "$(sql "$db" "select count(*) from attempts where state = 'running'")"
same="select group_concat(label || ' ' || top1 || ' ' || size_bytes, ';') from (select * from variants order by label)"
is "there are figures to compare" 1 "$([ -n "$(sql "$db" "$same")" ] && echo 1)"
is "the figures are those of the undisturbed run" "$(sql "$tmp/whole.db" "$same")" "$(sql "$db" "$same")"
is "every variant is timed" 4 "$(sql "$db" 'select count(latency_ms) from variants')"
is "nothing half-written is left" 0 "$(find "$tmp/cut.db.d" -name '*.part' | wc -l)"
ok "db check finds no damage" "$pare" db check --db "$db"

# Ctrl-C: what is in flight ends, the rest waits for the next run
db=$tmp/int.db
"$pare" run "$first" --db "$db" "$@" >/dev/null 2>"$tmp/said" &
pid=$!
sleep 1
kill -INT $pid
wait $pid
is "an interrupted run exits with 130" 130 $?
ok "and says how to go on" grep -q "^next: pare run .*first.yaml" "$tmp/said"
is "with the number of variants" 1 "$(grep -c '^[a-z]*: 4 variants, [0-4] ready' "$tmp/said")"
is "and leaves no attempt open" 0 "$(sql "$db" "select count(*) from attempts where state = 'running'")"
ok "and can go on" "$pare" run "$first" --db "$db" "$@"
is "to the same end" "$(sql "$tmp/whole.db" "$same")" "$(sql "$db" "$same")"
"$pare" run "$first" --db "$tmp/untimed.db" "$@" --no-latency >"$tmp/out" 2>&1
"$pare" plan "$first" --db "$tmp/untimed.db" --set data.evaluate.samples=600 --set data.calibrate.samples=32 >"$tmp/plan" 2>"$tmp/err"
ok "plan after building and evaluating: what timing will take" \
    grep -q '^estimate: about 0 s to build and evaluate, about .* to time, 0 B of disk' "$tmp/plan"

# a built model that somebody deleted
rm -r "$tmp/int.db.d"
fails_with 2 "in its pipeline's folder: .pare show .* --yaml > one.yaml., then .pare run one.yaml --db one.db" \
    "a model that is gone: how to get it back" "$pare" export q8 -o "$tmp/q8" --db "$tmp/int.db"
"$pare" show q8 --yaml --db "$tmp/int.db" 2>"$tmp/err" |
    sed "s|\.\./share|$PARE_TOP_SRC/share|" >"$tmp/one.yaml" # as if it were in that folder
"$pare" run "$tmp/one.yaml" --db "$tmp/one.db" "$@" --no-latency >"$tmp/out" 2>&1 &&
    "$pare" export q8 -o "$tmp/q8" --db "$tmp/one.db" >"$tmp/out" 2>&1
result $? "... and that works"
done_testing

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Variants that begin the same: evaluated from stored activations, with the same outcomes as from their images.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"
cat >"$tmp/late.yaml" <<YAML
pare: 1
name: late
model: $PARE_TOP_SRC/share/models/fashion-vit
data:
  calibrate: {from: $PARE_TOP_SRC/share/data/fashion-mnist, split: calibration, samples: 32}
  evaluate: {from: $PARE_TOP_SRC/share/data/fashion-mnist, split: test, samples: 600}
stages:
  - id: merge
    plugin: token-merge
    optional: true
    on: ["layer.3.**"]
    with: {r: 8}
  - id: quant
    plugin: quantize
    optional: true
    on: ["layer.6.**", "layer.7.**"]
    try: [{bits: 8, activations: int8}, {bits: 4, group_size: 32}]
  - {id: sparse, plugin: prune, optional: true, on: ["layer.7.**"], with: {pattern: 2:4}}
YAML
outcomes="select group_concat(label || ':' || sample || ':' || predicted || ':' || nll, ';') from
    (select * from samples order by label, sample)"
run() { # DATABASE ARGUMENTS...
    db=$tmp/$1.db
    shift
    "$pare" run "$tmp/late.yaml" --db "$db" --no-latency "$@" >"$tmp/out" 2>"$tmp/err"
    code=$?
    cp "$tmp/err" "$tmp/said"
    return $code
}

ok "from the images" run images --set limits.activations=none
is "nothing began elsewhere" 0 "$(grep -c 'stored activations' "$tmp/said")"
ok "from stored activations" run stored
share=$(sed -n 's/.*began from stored activations: \([0-9]*\) % of the work/\1/p' "$tmp/said")
is "most began from them, for half of the work or less" 1 \
    "$([ "${share:-100}" -le 50 ] && grep -Eq '^(8|9|1[0-2]) of 12 evaluations' "$tmp/said" && echo 1)"
is "12 variants were evaluated, sample by sample" "12,7200" \
    "$("$pare" query "select count(distinct label), count(*) from samples" --db "$tmp/stored.db" --format csv |
    tr -d '\r' | sed -n 2p)"
"$pare" query "$outcomes" --db "$tmp/images.db" --format csv >"$tmp/images.csv"
"$pare" query "$outcomes" --db "$tmp/stored.db" --format csv >"$tmp/stored.csv"
is "there are outcomes to compare" 1 "$([ "$(wc -c <"$tmp/stored.csv")" -gt 100000 ] && echo 1)"
ok "each is the same bit for bit" cmp "$tmp/images.csv" "$tmp/stored.csv"
is "no activations are left" 0 "$(find "$tmp/stored.db.d" -name 'activations*' | wc -l)"

# models that an earlier run built; what a killed one left behind is cleared away
mkdir "$tmp/stored.db.d/activations"
echo x >"$tmp/stored.db.d/activations/0123456789abcdef.part"
ok "on other samples, with models of the run before" run stored --set data.evaluate.samples=200
is "they begin in the middle too" 1 "$(grep -c 'of 12 evaluations began from stored' "$tmp/said")"
is "no model was built again" 0 "$(sed -n 's/.*(\([0-9]*\) built.*/\1/p' "$tmp/said")"
is "no activations are left either" 0 "$(find "$tmp/stored.db.d" -name 'activations*' | wc -l)"

# a budget that holds one file of 600 x 4800 floats, but not two
ok "a small budget" run small --set limits.activations=12MB
"$pare" query "$outcomes" --db "$tmp/small.db" --format csv >"$tmp/small.csv"
ok "changes no outcome" cmp "$tmp/images.csv" "$tmp/small.csv"
fails_with 2 "limit of the whole pipeline" "a stage has no budget of its own" \
    "$pare" plan "$tmp/late.yaml" --set stages.0.limits='{activations: 1GB}'

# workers keep to the memory together: two have no room, one has
ok "little memory" env PARE_MEMORY=1MB "$pare" run "$tmp/late.yaml" --db "$tmp/tight.db" --no-latency \
    --set limits.memory=1GB --jobs 2
is "no two workers were at it at the same time" 0 "$(sql "$tmp/tight.db" "select count(*) from attempts a
    join attempts b on a.attempt < b.attempt and b.started_at < a.finished_at")"
"$pare" query "$outcomes" --db "$tmp/tight.db" --format csv >"$tmp/tight.csv"
ok "and the outcomes are the same" cmp "$tmp/images.csv" "$tmp/tight.csv"

# racing: what is beaten or out of bounds beyond doubt is stopped early, and the front is the same
cat >"$tmp/race.yaml" <<YAML
pare: 1
name: race
model: $PARE_TOP_SRC/share/models/fashion-vit
data:
  calibrate: {from: $PARE_TOP_SRC/share/data/fashion-mnist, split: calibration, samples: 32}
  evaluate: {from: $PARE_TOP_SRC/share/data/fashion-mnist, split: test, samples: 1200}
stages:
  - {id: drop, plugin: layer-drop, optional: true, with: {unit: block, count: 4}}
  - {id: quant, plugin: quantize, optional: true, try: [{bits: 8, activations: int8}, {bits: 2}]}
measure: {top1: {}, latency: {edge: {batch: 1, threads: 1}}}
select: {objectives: {top1: {}, latency_ms: {}, size_bytes: {}}, constraints: ["top1 >= baseline - 0.02"]}
search: {racing: true}
YAML
race() { # DATABASE ARGUMENTS...
    db=$tmp/$1.db
    shift
    "$pare" run "$tmp/race.yaml" --db "$db" --rounds 6 "$@" >"$tmp/out" 2>"$tmp/err"
    code=$?
    cp "$tmp/err" "$tmp/said"
    return $code
}
ok "a race" race race
stopped=$(sql "$tmp/race.db" "select count(*) from variants where state = 'stopped'")
is "two or more of six are stopped" 1 "$([ "${stopped:-0}" -ge 2 ] && [ "${stopped:-0}" -lt 5 ] && echo 1)"
is "each with its reason" "$stopped" "$(sql "$tmp/race.db" "select count(*) from variants where state = 'stopped'
    and reason like 'racing: after %00 of 1,200 samples %beyond doubt' and top1 is null")"
is "all were timed, and before" "6,0" "$("$pare" query "select count(latency_ms) as a, (select count(*) from attempts e
    join attempts l using(variant) where e.phase = 'eval' and l.phase = 'latency' and e.started_at < l.finished_at) as b
    from variants" --db "$tmp/race.db" --format csv | tr -d '\r' | sed -n 2p)"
is "no attempt is open, none failed" "0,0" "$("$pare" query "select (select count(*) from attempts where state = 'running')
    as a, (select count(*) from failures) as b" --db "$tmp/race.db" --format csv | tr -d '\r' | sed -n 2p)"
is "the run says what it saved" 1 "$(grep -c "racing stopped $stopped of 6 variants early: [4-9][0-9] %" "$tmp/said")"
ok "front tells" sh -c "'$pare' front --db '$tmp/race.db' | grep -q '$stopped stopped early'"
ok "and why" sh -c "'$pare' front --all --db '$tmp/race.db' | grep -q 'stopped: racing: after'"
is "nothing of it is pending" 0 "$(sql "$tmp/race.db" "select count(*) from pending where phase = 'eval'")"
ok "list shows the state" sh -c "'$pare' list --db '$tmp/race.db' | grep -q stopped"
ok "running again" race race
is "does nothing" 1 "$(grep -c '0 built, 0 evaluated, 0 timed' "$tmp/said")"
is "and plan says so" 1 "$("$pare" plan "$tmp/race.yaml" --db "$tmp/race.db" 2>/dev/null | grep -c '6 cached')"
# cut in the middle of the race: what was seen is not looked at again, and the end is the same
"$pare" run "$tmp/race.yaml" --db "$tmp/cut.db" --rounds 1 >/dev/null 2>&1 &
pid=$!
i=0
while [ $i -lt 600 ] && [ "$(find "$tmp/cut.db.d" -name '*.seen' 2>/dev/null | wc -l)" -lt 3 ]; do
    sleep 0.02
    i=$((i + 1))
done
kill -9 $pid
wait $pid 2>/dev/null
kept=$(find "$tmp/cut.db.d" -name '*.seen' | wc -l)
ok "a race that was cut goes on" race cut
is "from what was seen" 1 "$([ "$kept" -ge 1 ] && echo 1)"
where="select group_concat(label || ' ' || state || ' ' || coalesce(top1, ''), ';') as a from (select * from variants
    order by label)"
is "to the same accuracies" "$(sql "$tmp/race.db" "$where")" "$(sql "$tmp/cut.db" "$where")"
is "and leaves nothing behind" 0 "$(find "$tmp/cut.db.d" -name '*.seen' | wc -l)"
cp "$tmp/race.db" "$tmp/retry.db"
cp -r "$tmp/race.db.d" "$tmp/retry.db.d"
ok "--retry" race retry --retry
is "completes them" 6 "$(sql "$tmp/retry.db" "select count(top1) from variants where state = 'ok'")"
ok "a run without racing" race race --set search.racing=false
is "completes them too" 6 "$(sql "$tmp/race.db" "select count(top1) from variants where state = 'ok'")"
is "none of them on the front" 0 "$(sql "$tmp/race.db" "select count(*) from variants where status in ('sure', 'front', 'maybe')
    and variant in (select variant from attempts where state = 'stopped')")"
is "outcomes are those of a run that looks once" 1 "$("$pare" run "$tmp/race.yaml" --db "$tmp/once.db" --no-latency \
    --set search.racing=false --quiet >/dev/null 2>&1
    for f in once race; do "$pare" query "$outcomes" --db "$tmp/$f.db" --format csv; done | sort -u | grep -c baseline)"
done_testing

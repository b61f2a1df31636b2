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
done_testing

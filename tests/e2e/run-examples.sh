#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every shipped pipeline runs, on a few hundred images; figures come out where they belong.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"
pipelines=$PARE_TOP_SRC/pipelines
few="--set data.evaluate.samples=300 --set data.calibrate.samples=32 --rounds 6"

db=$tmp/first.db
# shellcheck disable=SC2086
ok "first.yaml runs" "$pare" run "$pipelines/first.yaml" --db "$db" $few
is "it has 4 variants" 4 "$(sql "$db" "select count(*) from variants where state = 'ok'")"
is "all are timed in the same session" "4,1" \
    "$(sql "$db" "select count(latency_ms), count(distinct session) from variants")"
is "int8 is about four times smaller" 1 \
    "$(sql "$db" "select size_ratio between 3 and 4.5 from variants where label = 'q8'")"
is "dropping two feed-forward branches removes their MACs" 1 \
    "$(sql "$db" "select macs_ratio between 1.1 and 1.3 from variants where label = 'drop2'")"
is "what the stages did per unit is there" 1 \
    "$(sql "$db" "select count(*) >= 49 from unit_values where label = 'q8' and name = 'bits'")"
is "attempts are closed" 0 "$(sql "$db" "select count(*) from attempts where state = 'running'")"
ok "running again does nothing" "$pare" run "$pipelines/first.yaml" --db "$db" --set data.evaluate.samples=300 \
    --set data.calibrate.samples=32 --rounds 6
cp "$tmp/err" "$tmp/said"
ok "and says so" grep -q '0 built, 0 evaluated, 0 timed' "$tmp/said"
ok "front" "$pare" front --db "$db"
ok "pick" "$pare" pick --db "$db" --where 'top1 >= baseline - 0.5'
ok "db check" "$pare" db check --db "$db"
[ "${PARE_E2E_FIRST_ONLY:-}" ] && { done_testing; exit 0; }

db=$tmp/vit.db
# shellcheck disable=SC2086
ok "fashion-vit.yaml runs" "$pare" run "$pipelines/fashion-vit.yaml" --db "$db" $few \
    --set data.confirm.samples=200 --session-time 60
n=$(sql "$db" "select count(*) from variants where state = 'ok'")
is "it has 25 to 32 variants" 1 "$([ "$n" -ge 25 ] && [ "$n" -le 32 ] && echo 1)"
is "the chosen ones are confirmed on held-back samples" 1 \
    "$(sql "$db" "select count(distinct data) = 2 from measurements where metric = 'top1'")"

db=$tmp/layer.db
# shellcheck disable=SC2086
ok "layer-wise.yaml runs" "$pare" run "$pipelines/layer-wise.yaml" --db "$db" $few --session-time 60
is "bits differ by score" 2 \
    "$(sql "$db" "select count(distinct value) from unit_values where label = 'q-zd' and name = 'bits'")"
ok "show tells what the probes cost" sh -c "'$pare' show greedy+q4 --db '$db' | grep -A2 'work of the probes' | tail -n 1 |
    grep -Eq '^drop +0\.[345][0-9]* +0\.[0-5]'"
is "bits by hand are as written" 8 \
    "$(sql "$db" "select value from unit_values where label = 'q-hand' and name = 'bits' and unit = 'layer.7.ffn.up'")"

db=$tmp/stories.db
ok "stories.yaml runs" "$pare" run "$pipelines/stories.yaml" --db "$db" --set data.evaluate.samples=12 \
    --set data.calibrate.samples=4 --rounds 6 --session-time 60
is "it has 18 variants with a perplexity" 18 \
    "$(sql "$db" "select count(*) from variants where shape = 'decode' and perplexity > 1 and latency_ms > 0")"
is "fewer bits cost perplexity" 1 "$(sql "$db" "select a.perplexity < b.perplexity from variants a, variants b
    where a.label = 'q8' and b.label = 'q4' and a.shape = 'decode' and b.shape = 'decode'")"
is "the baseline is itself" "0,1" \
    "$(sql "$db" "select round(kl, 6) + 0, agreement + 0 from variants where is_baseline and shape = 'decode'" | tr -d '"' | sed 's/0\.0/0/; s/1\.0/1/')"
is "both shapes are timed" 2 "$(sql "$db" "select count(distinct shape) from latencies")"
"$pare" front --db "$db" --all >"$tmp/front"
ok "front: by perplexity" grep -q 'perplexity  vs baseline' "$tmp/front"
ok "why, of a language model" sh -c "'$pare' why q4 --db '$db' | grep -q 'what each stage costs'"

if [ -f "$pipelines/SmolLM2-135M-Instruct.Q4_1.gguf" ]; then
    ok "smollm2.yaml plans" "$pare" plan "$pipelines/smollm2.yaml" --db "$tmp/none.db"
else
    skip "smollm2.yaml plans" "its model is not beside it"
fi
done_testing

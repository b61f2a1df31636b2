#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A plugin that crashes, stalls, eats memory, returns NaN or changes the floating-point state: the run goes on,
# the variant is a row with the reason.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"
bad=$PARE_TOP_BUILD/tests/plugins/.libs
if [ ! -f "$bad/bad-crash.so" ]; then
    skip "misbehaving plugins" "they are not built"
    done_testing
    exit 0
fi

pipeline() { # NAME [STALL]
    cat <<YAML
pare: 1
name: $1
model: $PARE_TOP_SRC/share/models/fashion-vit
data:
  calibrate: {from: $PARE_TOP_SRC/share/data/fashion-mnist, split: calibration, samples: 16}
  evaluate: {from: $PARE_TOP_SRC/share/data/fashion-mnist, split: test, samples: 100}
stages:
  - {id: bad, plugin: $bad/$1.so, optional: true}
  - {id: quant, plugin: quantize, optional: true, with: {bits: 8}}
limits: {time: 60s, stall: ${2:-30s}, memory: 1500MB}
YAML
}

check() { # PLUGIN CAUSE PATTERN TRIES [STALL]
    pipeline "$1" "${5:-}" >"$tmp/$1.yaml"
    "$pare" run "$tmp/$1.yaml" --db "$tmp/$1.db" --no-latency >"$tmp/out" 2>"$tmp/err"
    is "$1: the run goes on, with exit 3" 3 $?
    is "$1: the others are there" 2 "$(sql "$tmp/$1.db" "select count(top1) from variants where state = 'ok'")"
    is "$1: the reason is in the row" 1 "$(sql "$tmp/$1.db" "select count(*) > 0 from failures
        where reason like '%$3%'")"
    is "$1: tried $4 times" "$4" "$(sql "$tmp/$1.db" "select count(*) from attempts where state = 'failed'")"
    is "$1: what follows is blocked" 1 "$(sql "$tmp/$1.db" "select count(*) from variants where state = 'blocked'")"
}

check bad-crash crash signal 3
check bad-stall stall 'sign of life' 3 2s
check bad-memory memory memory 3
check bad-nan numbers finite 1
check bad-fpstate refused floating-point 1

# ---- limits of a stage, of the command line, and of apply, each with how it is raised
limited() { # PLUGIN REASON OPTION...
    name=$1 want=$2
    shift 2
    pipeline "$name" >"$tmp/limited.yaml"
    rm -rf "$tmp/limited.db"*
    "$pare" run "$tmp/limited.yaml" --db "$tmp/limited.db" --no-latency --quiet "$@" >"$tmp/out" 2>"$tmp/err"
    is "$name: $want" "$want" "$(sql "$tmp/limited.db" "select reason from failures where state = 'failed' limit 1" | tr -d '"')"
}
limited bad-stall "took longer than 2 s: raise limits.time of stage 'bad', and --retry" \
    --set stages.bad.limits.time=2s --limit-time 1h
limited bad-stall "took longer than 2 s: raise limits.time (--limit-time), and --retry" --limit-time 2s
limited bad-memory "used more memory than 400 MB: raise limits.memory of stage 'bad', and --retry" \
    --set stages.bad.limits='{memory: 400MB}'
limited bad-memory "used more memory than 400 MB: raise limits.memory (--limit-memory), and --retry" --limit-memory 400MB
vit=$PARE_TOP_SRC/share/models/fashion-vit
fails_with 1 'still at it after 1 s' "apply --limit-time" "$pare" apply "$vit" "$bad/bad-stall.so" -o "$tmp/x" --limit-time 1s
grep -q 'raise --limit-time' "$tmp/err"
result $? "... says how to raise it"
fails_with 1 'runs under a debugger, but not confined: --no-confine here tells' "apply: a crash" \
    "$pare" apply "$vit" "$bad/bad-crash.so" -o "$tmp/x"
fails_with 1 'more than 300 MB' "apply --limit-memory" "$pare" apply "$vit" "$bad/bad-memory.so" -o "$tmp/x" --limit-memory 300MB
fails_with 2 "for 'memory', got text 'lots'" "a limit that is none" \
    "$pare" apply "$vit" quantize -o "$tmp/x" --limit-memory lots
fails_with 2 "in-process has none" "no limits in this process" \
    "$pare" apply "$vit" quantize -o "$tmp/x" --limit-memory 1GB --in-process

# ---- apply that is stopped: its worker ends, too, and Ctrl-C leaves nothing behind
begin_apply() { # PLUGIN: $pid, and $worker when it is at work
    mkdir -p "$tmp/stopped"
    "$pare" apply "$vit" "$bad/$1.so" -o "$tmp/stopped/x.safetensors" >"$tmp/out" 2>"$tmp/err" &
    pid=$! worker=
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ -n "$(find "$tmp/stopped" -name '.pare-*')" ] && worker=$(cat "/proc/$pid/task/$pid/children") && [ "$worker" ] && break
        sleep 0.5
    done
}
stop_apply() { # SIGNAL: a worker is at work, the signal has come, and what there was is gone
    begin_apply bad-stall
    sleep 0.5
    kill "-$1" $pid
    wait $pid
    code=$?
    sleep 0.5
    [ "$worker" ]
    result $? "apply, $1: a worker was at work"
    ! { grep -q '^State:.*[RSD] ' "/proc/${worker:-x}/status" 2>/dev/null && kill -9 "$worker"; }
    result $? "... which has ended"
}
stop_apply INT
is "... and the exit code is that of an interrupt" 130 $code
is "... and the folder is as before" "" "$(ls -A "$tmp/stopped")"
stop_apply KILL
# ---- a kernel that asks for all the memory there is: refused wherever its model would run
ok "bad-scratch: apply" "$pare" apply "$vit" "$bad/bad-scratch.so" -o "$tmp/scratch"
for command in "eval $tmp/scratch $PARE_TOP_SRC/share/data/fashion-mnist --split test --samples 8" "bench $tmp/scratch"; do
    # shellcheck disable=SC2086
    PARE_PLUGIN_PATH=$bad fails_with 2 "of its encoding 'bad-scratch' asks for too much memory" \
        "bad-scratch: ${command%% *}" "$pare" $command
done

# ---- one that closes what it prints to is waited for as quietly as others
rm -rf "$tmp/stopped"
ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }
BAD_END=mute
export BAD_END
begin_apply bad-end
unset BAD_END
sleep 0.5
before=$(ticks)
sleep 1.5
after=$(ticks)
wait $pid
is "bad-end: apply waits for it to the end" 0 $?
is "... and is idle meanwhile" 1 "$((${after:-1000} - ${before:-0} < 30))"

# what failed for a limit is tried again with a higher one; timing keeps to them, too
printf 'pare: 1\nmodel: %s\ndata: {evaluate: {from: %s, split: test, samples: 50}}\nstages: [{plugin: quantize}]\n' \
    "$vit" "$PARE_TOP_SRC/share/data/fashion-mnist" >"$tmp/small.yaml"
small() { "$pare" run "$tmp/small.yaml" --db "$tmp/small.db" --rounds 1 --quiet "$@"; }
fails_with 1 'used more memory than 5 MB' "too little memory" small --no-latency --limit-memory 5MB
ok "--retry with enough" small --no-latency --limit-memory 1GB --retry
fails_with 1 'timing baseline: used more memory than 5 MB' "timing with too little" \
    "$pare" run "$tmp/small.yaml" --db "$tmp/small.db" --rounds 1 --limit-memory 5MB
ok "... and with enough" small

pipeline bad-abi >"$tmp/abi.yaml"
fails_with 2 'ABI' "a wrong ABI is refused before any work" "$pare" run "$tmp/abi.yaml" --db "$tmp/abi.db"
pipeline bad-noentry >"$tmp/noentry.yaml"
fails_with 2 'no pare_plugin_v1' "a file that is no plugin too" "$pare" run "$tmp/noentry.yaml" --db "$tmp/abi.db"

# two builds of one plugin in the path: nobody can tell which is meant
mkdir "$tmp/a" "$tmp/b"
for f in "$PARE_TOP_BUILD"/plugins/.libs/quantize.so "$PARE_TOP_BUILD"/plugins/quantize/.libs/quantize.so "$PARE_TOP_BUILD"/plugins/quantize.so; do
    [ -f "$f" ] && cp "$f" "$tmp/a" && cp "$f" "$tmp/b"
done
printf 'x' >>"$tmp/b/quantize.so"
printf 'pare: 1\nmodel: %s\nstages: [{plugin: quantize}]\nmeasure: {latency: {edge: {}}}\n' \
    "$PARE_TOP_SRC/share/models/fashion-vit" >"$tmp/two.yaml"
for command in "plan $tmp/two.yaml" "run $tmp/two.yaml --db $tmp/abi.db" "plugins quantize"; do
    # shellcheck disable=SC2086
    PARE_PLUGIN_PATH=$tmp/a:$tmp/b fails_with 2 "two files are the plugin 'quantize'" \
        "${command%% *}: two files of one id" "$pare" $command
    is "... both are named" 2 "$(grep -o "$tmp/[ab]/quantize.so" "$tmp/err" | sort -u | wc -l | tr -d ' ')"
done
is "and nothing was written" "" "$(ls "$tmp/abi.db" 2>/dev/null)"
done_testing

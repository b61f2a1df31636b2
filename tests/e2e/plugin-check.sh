#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `pare plugin check`: Pare's own plugins pass without a warning; each of the bad ones fails where it is bad.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"

for id in cosine greedy kv-quant layer-drop output-change proportional prune quantize token-merge two-level uniform zd; do
    ok "plugin check --strict $id" "$pare" plugin check --strict "$id"
done
"$pare" plugin check quantize --only 'l*' --format json >"$tmp/json" 2>"$tmp/err"
result $? "plugin check --format json"
is "plugin check --only: those that match" "libraries load-time layer-wise leaks" \
    "$(sed -n 's/.*"check": "\([^"]*\)".*/\1/p' "$tmp/json" | tr '\n' ' ' | sed 's/ $//')"
ok "plugin check --list" "$pare" plugin check --list
fails_with 2 "no check is called 'lekas'" "plugin check: an unknown check" "$pare" plugin check quantize --only lekas
fails_with 2 "one plugin" "plugin check: without a plugin" "$pare" plugin check

# ---- new: what is written builds and passes its own tests
meson=$(command -v meson) && command -v ninja >/dev/null 2>&1 && command -v pkg-config >/dev/null 2>&1 || meson=
mkdir "$tmp/pc"
cat >"$tmp/pc/pare.pc" <<PC
plugindir=$tmp/plugins
Name: pare
Description: as it is built
Version: 1
Cflags: -I$PARE_TOP_SRC/core/include
PC
for kind in transform score allocate encoding metric; do
    ok "plugin new --kind $kind" "$pare" plugin new com.example.new-one --kind $kind -o "$tmp/$kind"
    is "plugin new: $kind has all files" "Makefile ci.yml meson.build new-one.7 new-one.c pipeline.yaml test.sh" \
        "$(ls "$tmp/$kind" | tr '\n' ' ' | sed 's/ $//')"
    case $kind in
    score) used="score: " ;;
    allocate) used="allocate: {plugin: " ;;
    metric) used="objectives: {" ;;
    *) used="- plugin: " ;;
    esac
    ok "plugin new: the page tells how a $kind is used" grep -q "^ *${used}com.example.new-one" "$tmp/$kind/new-one.7"
    awk 'END { exit !(NR <= 150) }' "$tmp/$kind/new-one.c"
    result $? "plugin new: at most 150 lines of source"
    ! grep -rq '@[A-Z]*@' "$tmp/$kind"
    result $? "plugin new: no word is left to fill in"
    ok "plugin new: make check, of a build that is not installed" \
        env MAKEFLAGS= make -C "$tmp/$kind" check PARE_SOURCE="$(cd "$PARE_TOP_SRC" && pwd)" PARE="$pare" CFLAGS=-Werror
    cp "$tmp/out" "$tmp/checked"
    [ $kind != metric ] || ok "plugin new: make check shows the metric" grep -q '^label .*com.example.new-one' "$tmp/checked"
    if [ -z "$meson" ]; then
        skip "plugin new: meson, $kind" "there is no meson, no ninja, or no pkg-config"
        continue
    fi
    ok "plugin new: meson, $kind" env PKG_CONFIG_PATH="$tmp/pc" \
        sh -c "meson setup --werror '$tmp/meson/$kind' '$tmp/$kind' && meson compile -C '$tmp/meson/$kind'"
done
vit=$PARE_TOP_SRC/share/models/fashion-vit
encoded=$tmp/encoding/com.example.new-one.so
ok "plugin new: built with its own flags" env MAKEFLAGS= make -B -C "$tmp/encoding" PARE_SOURCE="$(cd "$PARE_TOP_SRC" && pwd)"
ok "plugin new: a model in the new encoding" "$pare" apply "$vit" "$encoded" -o "$tmp/encoded"
PARE_PLUGIN_PATH=$tmp/encoding${PARE_PLUGIN_PATH:+:$PARE_PLUGIN_PATH} "$pare" bench "$tmp/encoded" --visits 6 >/dev/null
result $? "plugin new: its kernel runs"
[ -z "$meson" ] || ok "plugin new: meson test" env PARE_SOURCE="$(cd "$PARE_TOP_SRC" && pwd)" PARE="$pare" \
    meson test -C "$tmp/meson/metric"
fails_with 2 'is there already' "plugin new: does not overwrite" "$pare" plugin new x -o "$tmp/score"
fails_with 2 "no name for a plugin" "plugin new: a bad name" "$pare" plugin new ../x -o "$tmp/x"
fails_with 2 "no kind 'metrik'.*|transform, score, allocate, encoding, metric" "plugin new: an unknown kind" "$pare" plugin new x --kind metrik -o "$tmp/x"

bad=$PARE_TOP_BUILD/tests/plugins/.libs
found() { # PLUGIN CHECK LEVEL PATTERN [SECONDS]
    "$pare" plugin check "$bad/$1.so" --only "$2" --seconds "${5:-120}" >"$tmp/out" 2>"$tmp/err"
    code=$?
    grep -Eq -- "^$3 +$2 +.*$4" "$tmp/out" && { [ "$3" != fail ] || [ $code -eq 1 ]; }
    result $? "plugin check: $1: $3 in $2"
}
if [ -f "$bad/bad-crash.so" ]; then
    found bad-noentry handshake fail 'no pare_plugin_v1'
    found bad-fastmath handshake fail 'floating-point state'
    found bad-bounds handshake fail ''
    found bad-crash families fail 'crashed with signal 11'
    found bad-stall families fail 'still at it after 3 s.* [(]--seconds gives it longer[)]$' 3
    found bad-memory families fail 'took more than 1000 MB'
    found bad-fpstate families fail 'floating-point state'
    found bad-silent families fail 'gave no reason$'
    found bad-silent metadata fail "name 'quantize': no pipeline can have the two"
    found bad-nan families fail 'not finite'
    found bad-score families fail 'not finite [(]plugin .bad-score. 1.0.0[)]$'
    found bad-refusal families warn 'legs too many'
    found bad-stdout quiet warn 'hello from a plugin'
    found bad-kit one-symbol warn 'exports a_second_symbol too'
    found bad-kit metadata warn 'MAJOR.MINOR.PATCH'
    found bad-kit parameters fail "'step' says that 9 is worth trying"
    found bad-kit identity fail 'changes the model'
    found bad-kit layer-wise fail 'ask for .share. with the unit'
    found bad-kit same-bytes fail 'gives another result'
    found bad-kit leaks fail 'leaves about'
    if [ "$(cat /proc/sys/kernel/randomize_va_space 2>/dev/null)" = 2 ]; then
        found bad-address same-bytes fail 'another process gives another result'
    else
        skip "plugin check: bad-address: fail in same-bytes" "addresses are not random here"
    fi
    found bad-files leaks fail 'leaves 1 files open'
    found bad-kit no-memory fail 'crashed with signal 11'
    found bad-kit no-extension fail 'crashed with signal 11'
    found bad-kit cancel fail 'it goes on'
    found bad-encoding kernel fail 'where decode.. and plain sums give'
    found bad-encoding bytes fail ''
    found bad-again size fail 'a second run fails: it has worked already'
    found bad-scratch kernel fail 'scratch.. asks for 18446744073709551615 bytes'
    found given-encoding kernel pass ''
    found given-encoding bytes pass ''
else
    skip "misbehaving plugins" "they are not built"
fi
done_testing

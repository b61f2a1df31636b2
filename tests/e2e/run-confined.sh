#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What workers keep plugins from, under run, apply and plugin check; what they do not; and models, data and
# plugins wherever they lie.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"
reach=$PARE_TOP_BUILD/tests/plugins/.libs/bad-reach.so
vit=$PARE_TOP_SRC/share/models/fashion-vit
without=$PARE_TOP_BUILD/tests/e2e/without
if [ ! -f "$reach" ]; then
    skip "confined plugins" "they are not built"
    done_testing
    exit 0
fi

# what is missing here, as apply tells
"$pare" apply "$vit" "$reach" -o "$tmp/first" >"$tmp/out" 2>"$tmp/notes"
result $? "a plugin that needs nothing"
files=1 calls=1
grep -q 'not confined\|not kept from files' "$tmp/notes" && files=
grep -q 'not confined\|not kept from the network' "$tmp/notes" && calls=

export HOME="$tmp/home"
mkdir "$HOME" "$tmp/work"
echo secret >"$HOME/secret"
cat >"$tmp/work/p.yaml" <<YAML
pare: 1
model: $vit
data: {evaluate: {from: $PARE_TOP_SRC/share/data/fashion-mnist, split: test, samples: 20}}
stages: [{id: reach, plugin: $reach}]
YAML

# ---- what is refused, and that it would be there without
reason() { sql "$1" "select reason from failures where state = 'failed' limit 1"; }
refused() { # files|calls WHAT PATH
    eval "has=\$$1"
    BAD_REACH="$2 $3"
    export BAD_REACH
    if [ ! "$has" ]; then
        skip "$2" "this kernel has nothing that keeps plugins from it"
    else
        rm -rf "$tmp/work/p.db"*
        fails_with 1 "cannot $2 .*: (Permission denied|Operation not permitted)" "apply: $2 is refused" \
            "$pare" apply "$vit" "$reach" -o "$tmp/out.d"
        fails_with 3 "" "run: $2 fails the variant" \
            "$pare" run "$tmp/work/p.yaml" --db "$tmp/work/p.db" --no-latency --quiet
        is "run: the reason is the plugin's own" 1 "$(reason "$tmp/work/p.db" |
            grep -Ec "cannot $2 .*: (Permission denied|Operation not permitted)")"
        "$pare" plugin check "$reach" --only same-bytes >"$tmp/out" 2>"$tmp/err"
        grep -Eq 'Permission denied|Operation not permitted' "$tmp/out"
        result $? "plugin check: $2 is refused, on all threads"
    fi
    [ "$2" = remove ] || [ "$2" = exec ] || [ "$2" = cut ] ||
        [ "$2" = limit ] ||
        ok "apply --no-confine: $2" "$pare" apply "$vit" "$reach" -o "$tmp/free" --force --no-confine
    unset BAD_REACH
}
refused files read "$HOME/secret"
refused files read "$tmp/work/p.yaml"
refused files read /etc/passwd
refused files read /proc/self/root/etc/passwd
refused files write "$tmp/work/beside"
refused files write "$tmp/out.d/other"
refused files write "$vit/other"
refused files remove "$HOME/secret"
refused calls cut "$HOME/secret"
refused calls mode "$HOME/secret"
refused calls network -
refused calls daemon "$tmp/daemon"
refused calls fork /bin/true
refused calls exec /bin/true
refused calls parent -
refused calls limit -
refused calls slow -
refused calls own -
is "nothing was touched" "secret" "$(cat "$HOME/secret")"
is "no folder of the worker is left" "" "$(find "$tmp" -name '.pare-*')"
rm -f "$tmp/work/beside" "$tmp/out.d/other" "$vit/other"

# ---- both ways to switch it off in a pipeline
export BAD_REACH="read $HOME/secret"
ok "run --no-confine" "$pare" run "$tmp/work/p.yaml" --db "$tmp/work/free.db" --no-latency --quiet --no-confine
echo 'limits: {confine: false}' >>"$tmp/work/p.yaml"
ok "limits: {confine: false}" "$pare" run "$tmp/work/p.yaml" --db "$tmp/work/free2.db" --no-latency --quiet
sed -i '$d' "$tmp/work/p.yaml"
ok "plugin check --no-confine" "$pare" plugin check "$reach" --only families --no-confine
unset BAD_REACH
fails_with 2 "'confine' is a limit of the whole pipeline" "a stage has no confine of its own" \
    "$pare" plan "$tmp/work/p.yaml" --set stages.reach.limits.confine=false

# ---- a library that lies where only the plugin knows: loaded here, and not in a worker
mkdir "$tmp/needy"
echo 'int needed(void) { return 0; }' >"$tmp/needy/dep.c"
if [ "$files" ] && (cd "$tmp/needy" && ${CC:-cc} -shared -fPIC -o libpareneeded.so dep.c &&
    sed 's/bad-reach/needy/' "$PARE_TOP_SRC/tests/plugins/bad-reach.c" >needy.c && echo 'int needed(void); int needs(void); int needs(void) { return needed(); }' >>needy.c &&
    ${CC:-cc} -D_GNU_SOURCE -shared -fPIC -I"$PARE_TOP_SRC/core/include" -o needy.so needy.c -L. -lpareneeded -Wl,-rpath,"$tmp/needy") 2>"$tmp/err"; then
    fails_with 2 'a worker reads libraries below .* or run with --no-confine' "apply: a library elsewhere: what to do" \
        "$pare" apply "$vit" "$tmp/needy/needy.so" -o "$tmp/needy/out"
    ok "... which helps" "$pare" apply "$vit" "$tmp/needy/needy.so" -o "$tmp/needy/out" --no-confine
    LD_LIBRARY_PATH=$tmp/needy ok "... as does the path of libraries" \
        "$pare" apply "$vit" "$tmp/needy/needy.so" -o "$tmp/needy/out" --force
else
    skip "a library elsewhere" "no Landlock, or no compiler"
fi

# ---- a kernel without
lacks() { # PATTERN CALL...
    pattern=$1
    shift
    "$without" "$@" -- "$pare" run "$tmp/work/p.yaml" --db "$tmp/work/old.db" --no-latency >"$tmp/out" 2>"$tmp/err"
    code=$?
    [ $code -eq 77 ] && skip "a kernel without $*" "this one cannot play it" && return
    result $code "a kernel without $*: the run goes on"
    is "... which is said in one line" 1 "$(grep -c "^note: plugins are not $pattern" "$tmp/err")"
    is "... and nothing has failed" 0 "$(sql "$tmp/work/old.db" "select count(*) from failures")"
    rm -rf "$tmp/work/old.db"*
}
lacks 'kept from files: ' landlock
[ "$files" ] && lacks 'kept from the network: ' seccomp
lacks 'confined: ' landlock seccomp
"$without" landlock -- "$pare" run "$tmp/work/p.yaml" --db "$tmp/work/old.db" --no-latency --no-confine 2>"$tmp/err"
is "with --no-confine there is nothing to say" 0 "$(grep -c 'plugins are not' "$tmp/err")"

# ---- everything where it may lie: a model as Hugging Face keeps it, images behind links, a list of files, the
# database behind a link, plugins in the search path and beside the YAML, another folder for temporary files
mkdir -p "$tmp/hub/blobs" "$tmp/hub/snapshots/1" "$tmp/data" "$tmp/far/plugins" "$tmp/far/db" "$tmp/elsewhere" "$tmp/yaml/build"
for f in "$vit"/*; do
    cp "$f" "$tmp/hub/blobs/b-${f##*/}"
    ln -s "../../blobs/b-${f##*/}" "$tmp/hub/snapshots/1/${f##*/}"
done
cp "$PARE_TOP_SRC"/share/data/fashion-mnist/test-* "$tmp/elsewhere"
for f in "$tmp"/elsewhere/*; do ln -s "$f" "$tmp/data"; done
cp "$reach" "$tmp/yaml/build/x.so"
for f in "$PARE_TOP_BUILD"/plugins/.libs/quantize.so "$PARE_TOP_BUILD"/plugins/quantize/.libs/quantize.so; do
    [ -f "$f" ] && cp "$f" "$tmp/far/quantize.so"
done
ln -s ../quantize.so "$tmp/far/plugins/quantize.so"
ln -s "$tmp/far/db" "$tmp/yaml/db"
cat >"$tmp/yaml/p.yaml" <<YAML
pare: 1
model: ../hub/snapshots/1
data:
  evaluate: {from: ../data, split: test, samples: 50}
stages:
  - {id: reach, plugin: ./build/x.so}
  - {plugin: quantize, with: {bits: 8, activations: int8}}
YAML
TMPDIR=$tmp/elsewhere PARE_PLUGIN_PATH=$tmp/far/plugins ok "links, and folders elsewhere" \
    "$pare" run "$tmp/yaml/p.yaml" --db "$tmp/yaml/db/p.db" --rounds 2 --quiet
is "... with every variant" 2 "$(sql "$tmp/yaml/db/p.db" "select count(top1) from variants where state = 'ok'")"
mkdir "$tmp/listed"
printf 'splits: {test: {images: ../elsewhere/test-images-idx3-ubyte.gz, labels: ../elsewhere/test-labels-idx1-ubyte.gz}}\n' \
    >"$tmp/listed/dataset.yaml"
ok "files that dataset.yaml names" "$pare" run "$tmp/yaml/p.yaml" --db "$tmp/yaml/listed.db" --no-latency --quiet \
    --set data.evaluate.from=../listed --set 'stages=[{plugin: quantize, with: {bits: 8}}]'
cd "$tmp/yaml" || exit 1
ok "from the folder itself" "$pare" run p.yaml --db rel.db --no-latency --quiet
ok "apply to relative paths" "$pare" apply ../hub/snapshots/1 ./build/x.so -o small.safetensors
ok "... again, with what came out" "$pare" apply small.safetensors quantize bits=8 -o small.safetensors --force
ok "... whose folder holds no more than before" test ! -e model.safetensors
cd / || exit 1

# a text model that was compressed before: its tokenizer stayed with the original
stories=$PARE_TOP_SRC/share/models/stories260K/stories260K.gguf
mkdir "$tmp/original"
cp "$stories" "$tmp/original"
ok "apply to a language model" "$pare" apply "$tmp/original/stories260K.gguf" quantize bits=8 -o "$tmp/text.safetensors"
cat >"$tmp/text.yaml" <<YAML
pare: 1
model: text.safetensors
data: {evaluate: {from: $PARE_TOP_SRC/share/data/alice, split: test, window: 64, samples: 4}}
stages: [{plugin: kv-quant, with: {bits: 8}}]
measure: {perplexity: {}, kl: {}}
YAML
ok "a tokenizer that lies elsewhere" "$pare" run "$tmp/text.yaml" --db "$tmp/text.db" --no-latency --quiet
done_testing

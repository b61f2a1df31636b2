#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Models with weights in a plugin's encoding: whose file brings it, what hangs on that file, and what is said without it.
XDG_CACHE_HOME=
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"

cc=${CC:-cc}
if ! command -v "$cc" >/dev/null 2>&1; then
    skip "encoded models" "there is no $cc"
    done_testing
    exit
fi
id=org.example.enc own=$tmp/own model=$PARE_TOP_SRC/share/models/fashion-vit
data="$PARE_TOP_SRC/share/data/fashion-mnist --split test --samples 50"
build() { # FILE FLAGS...
    so=$1
    shift
    "$cc" -std=c11 -shared -fPIC "-I$PARE_TOP_SRC/core/include" "$@" -o "$so" "$tmp/enc/enc.c" -lm
}
ok "plugin new --kind encoding" "$pare" plugin new enc --kind encoding -o "$tmp/enc"
mkdir "$own" "$tmp/other"
build "$own/$id.so"
PARE_PLUGIN_PATH=$own:$PARE_PLUGIN_PATH
export PARE_PLUGIN_PATH
ok "apply" "$pare" apply "$model" $id -o "$tmp/m"
# shellcheck disable=SC2086
ok "eval" "$pare" eval "$tmp/m" $data
cat >"$tmp/p.yaml" <<YAML
pare: 1
name: p
model: $tmp/m
data: {evaluate: {from: $PARE_TOP_SRC/share/data/fashion-mnist, split: test, samples: 50}}
stages: [{plugin: prune, optional: true, with: {criterion: magnitude}}]
YAML
ok "a pipeline begins with it" "$pare" run "$tmp/p.yaml" --db "$tmp/p.db" --no-latency
is "what was measured is known" 1 "$("$pare" plan "$tmp/p.yaml" --db "$tmp/p.db" 2>/dev/null | grep -c '2 variants: 2 partly')"

# ---- the same plugin twice, and another one of its id
cp "$own/$id.so" "$tmp/other/copy.so"
ok "a copy is the same plugin" "$pare" apply "$tmp/m" "$tmp/other/copy.so" -o "$tmp/again"
build "$tmp/other/$id.so" -O1 -DOTHER -g
fails_with 2 "two (files|plugins).*$id" "another one is not" "$pare" apply "$tmp/m" "$tmp/other/$id.so" -o "$tmp/again"
grep -q "$own/$id.so and .*$tmp/other/$id.so\|$tmp/other/$id.so and .*$own/$id.so" "$tmp/err"
result $? "... and both are named"
cp "$tmp/other/$id.so" "$own/$id.so"
is "another file of it: nothing is known" 1 "$("$pare" plan "$tmp/p.yaml" --db "$tmp/p.db" 2>/dev/null | grep -c '2 variants: 2 new')"

# ---- an id in a file is no path
printf '#include <stdio.h>\n__attribute__((constructor)) static void f(void) { fclose(fopen("%s/ran", "w")); }\n' "$tmp" >"$tmp/evil.c"
(cd "$tmp" && "$cc" -shared -fPIC -o evil.so evil.c)
mkdir "$tmp/h"
cp "$tmp"/m/* "$tmp/h"
LC_ALL=C sed -i "s|$id|././/.//evil.so|g" "$tmp/h"/*.safetensors
# shellcheck disable=SC2086
fails_with 2 "that is no plugin's id" "an id that is a path" sh -c "cd '$tmp' && '$pare' eval h $data"
is "... is not loaded" 1 "$([ -e "$tmp/ran" ] || echo 1)"

# ---- one that does not load stops what needs it, and nothing else
cat >>"$tmp/enc/enc.c" <<C
#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void need(void) { FILE *f = fopen("$tmp/other/needed", "r"); if (!f) abort(); fclose(f); }
C
: >"$tmp/other/needed"
build "$own/$id.so"
cat >"$tmp/q.yaml" <<YAML
pare: 1
name: q
model: $model
data: {evaluate: {from: $PARE_TOP_SRC/share/data/fashion-mnist, split: test, samples: 50}}
stages: [{one_of: [{plugin: $id}, {plugin: quantize}]}]
YAML
fails_with 3 "crashed with signal 6" "a stage that crashes where it is confined" "$pare" run "$tmp/q.yaml" --db "$tmp/q.db" --no-latency
is "... fails alone" "failed ok" "$(sql "$tmp/q.db" "select group_concat(state, ' ') from (select distinct state from variants order by 1)")"
rm "$tmp/other/needed"
touch -d '2001-02-03' "$own/$id.so"
"$pare" plugins >/dev/null 2>&1
# shellcheck disable=SC2086
fails_with 2 "is blocked" "a model whose plugin is blocked: why" "$pare" eval "$tmp/m" $data
grep -q "pare plugins --retry" "$tmp/err"
result $? "... and how to try again"
rm "$own/$id.so"
# shellcheck disable=SC2086
fails_with 2 "install it, or put its folder into PARE_PLUGIN_PATH" "a model whose plugin is not there" "$pare" eval "$tmp/m" $data
done_testing

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Plugins are looked at elsewhere before they are loaded: what crashes or hangs is blocked, and that is kept.
XDG_CACHE_HOME=
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"

bad=$PARE_TOP_BUILD/tests/plugins/.libs cache=$XDG_CACHE_HOME/pare/plugins.json
if [ ! -f "$bad/bad-load.so" ]; then
    skip "discovery" "shared objects are not built"
    done_testing
    exit
fi
mkdir "$tmp/plugins"
cp "$PARE_TOP_BUILD/plugins/cosine/.libs/cosine.so" "$bad/bad-load.so" "$bad/bad-abi.so" "$tmp/plugins"
echo "no plugin" >"$tmp/plugins/text.so"
PARE_PLUGIN_PATH=$tmp/plugins HOME=$tmp
export PARE_PLUGIN_PATH HOME
states() { "$pare" plugins --format csv 2>"$tmp/said" | cut -d, -f1,5 | sed 1d | sort | tr '\n' ' '; }

ok "plugins: one that crashes does not take us along" "$pare" plugins
want="bad-abi,refused bad-load,blocked cosine,ok text,refused "
is "... and the others are listed" "$want" "$(states)"
grep -q "text.so: it is no shared object" "$tmp/said"
result $? "... a text is no shared object"
grep -q "bad-load.so is left out: .* is blocked" "$tmp/said" && grep -q "it crashed with signal 11" "$tmp/said" && grep -q "pare plugins --retry" "$tmp/said"
result $? "... with the reason, and how to try again"
fails_with 2 "is blocked" "plugins NAME: the blocked one" "$pare" plugins bad-load
fails_with 2 "is blocked" "apply: the blocked one" "$pare" apply "$PARE_TOP_SRC/share/models/fashion-vit" bad-load -o "$tmp/out.safetensors"
ok "schema: without it" "$pare" schema
grep -q '"state": "blocked"' "$cache"
result $? "cache: is where it is said to be"

ln -s plugins "$tmp/linked"
is "... by any path" "$want" "$(PARE_PLUGIN_PATH=$tmp/linked && states)"

cp "$tmp/plugins/cosine.so" "$tmp/plugins/other.so" && printf x >>"$tmp/plugins/other.so"
is "plugins: a second file of an id is a duplicate" "bad-abi,refused bad-load,blocked cosine,ok other,duplicate text,refused " "$(states)"
grep -q "two files are the plugin 'cosine'" "$tmp/said"
result $? "... which names the id"
rm "$tmp/plugins/other.so"
"$pare" plugins cosine --format json >"$tmp/out" 2>"$tmp/err"
grep -q '"abi": "1.0"' "$tmp/out" && grep -q '"state": "ok"' "$tmp/out"
result $? "plugins NAME --format json: has ABI and state as the list has"

# ---- what is kept is used
sed 's/it crashed with signal 11/kept from before/' "$cache" >"$tmp/c" && cp "$tmp/c" "$cache"
is "cache: what is known is not looked at again" "$want" "$(states)"
grep -q "kept from before" "$tmp/said"
result $? "... and its reason is told"
touch -d '2001-02-03' "$tmp/plugins/bad-load.so"
is "cache: a file that changed is" "$want" "$(states)"
grep -q "it crashed with signal 11" "$tmp/said"
result $? "... anew"
sed 's/it crashed with signal 11/kept from before/' "$cache" >"$tmp/c" && cp "$tmp/c" "$cache"
"$pare" plugins --retry >/dev/null 2>"$tmp/said"
grep -q "it crashed with signal 11" "$tmp/said"
result $? "plugins --retry: looks again"
for broken in '' '{' '[]' '{"program": 1, "files": 2}' '{"files": {}}'; do
    printf %s "$broken" >"$cache"
    is "cache: '$broken' is an empty one" "$want" "$(states)"
done
rm -r "$XDG_CACHE_HOME" && : >"$XDG_CACHE_HOME"
is "cache: where none can be written, all is looked at" "$want" "$(states)"
rm "$XDG_CACHE_HOME"

# ---- what hangs on another file is not kept: the library that was missing
"$pare" plugins >"$tmp/out" 2>"$tmp/err"
ok "(the others are known)" "$pare" plugins
grep -A3 "bad-abi.so is left out" "$tmp/err" | grep -q "hint: .*; .pare plugins --retry. looks again"
result $? "cache: a refusal out of it says how to look again"
mkdir "$tmp/needy"
echo 'int needed(void) { return 1; }' >"$tmp/needy/dep.c"
cat >"$tmp/needy/needy.c" <<'C'
#include <pare/plugin.h>
int needed(void);
static int apply(struct pare_ctx *ctx, const struct pare_host *host) { return (void)ctx, (void)host, !needed(); }
static const struct pare_plugin plugin = {PARE_PLUGIN_HEAD, .id = "needy", .version = "1.0.0", .summary = "needs a library",
    .author = "the Pare authors", .license = "Apache-2.0", .label = "n", .kind = PARE_TRANSFORM,
    .unit_kind = PARE_UNIT_LINEAR, .apply = apply};
PARE_PLUGIN(plugin)
C
needy=$tmp/needy/needy.so
if (cd "$tmp/needy" && ${CC:-cc} -shared -fPIC -o libpareneeded.so dep.c &&
    ${CC:-cc} -shared -fPIC -I"$PARE_TOP_SRC/core/include" -o needy.so needy.c -L. -lpareneeded -Wl,-rpath,"$tmp/needy") 2>"$tmp/err"; then
    mv "$tmp/needy/libpareneeded.so" "$tmp/needy/away"
    fails_with 2 "cannot load" "a plugin whose library is missing" "$pare" plugins "$needy"
    mv "$tmp/needy/away" "$tmp/needy/libpareneeded.so"
    ok "... is looked at again when it is there" "$pare" plugins "$needy"
else
    skip "a plugin whose library is missing" "no compiler"
fi

# ---- asked for by who wants no reason, and a path that JSON cannot hold
for what in bad-load bad-abi; do
    ok "complete: the settings of $what are none" "$pare" complete -- apply MODEL "$tmp/plugins/$what.so" ''
done
odd=$tmp/$(printf 'odd\377')
if mkdir "$odd" 2>"$tmp/err"; then
    cp "$tmp/plugins/cosine.so" "$tmp/plugins/bad-abi.so" "$odd"
    fails_with 2 "cosine.so cannot be used: its path is not UTF-8" "a path that is not UTF-8 is refused" \
        "$pare" plugins "$odd/cosine.so"
    PARE_PLUGIN_PATH=$odd ok "... and left out of the list" "$pare" plugins --format json
    grep -aq "bad-abi.so cannot be used: its path is not UTF-8" "$tmp/err"
    result $? "... which says so"
else
    skip "a path that is not UTF-8" "this file system has none"
fi

# ---- one that hangs
cp "$bad/bad-hang.so" "$tmp/plugins"
is "plugins: one that hangs is blocked" "bad-abi,refused bad-hang,blocked bad-load,blocked cosine,ok text,refused " "$(states)"
grep -q "still at it after 10 s" "$tmp/said"
result $? "... with the reason"

# ---- and at its end: what a process does that has answered is waited for, but not for ever
rm "$tmp/plugins"/bad-*.so "$tmp/plugins/text.so"
cp "$bad/bad-end.so" "$tmp/plugins"
ends() { # BAD_END REASON
    BAD_END=$1 timeout 60 "$pare" plugins --retry --format csv 2>"$tmp/err" | cut -d, -f1,5 >"$tmp/out"
    grep -q "bad-end,blocked" "$tmp/out" && grep -q "$2" "$tmp/err"
    result $? "plugins: one whose end is a $1 is blocked"
}
ends hang "it did not end when its work was done"
ends crash "it crashed with signal 11"
ok "plugins --retry: one that ends well is there again" "$pare" plugins --retry bad-end
BAD_END=applied ok "apply: a worker that hangs at its end is ended" timeout 60 \
    "$pare" apply "$PARE_TOP_SRC/share/models/fashion-vit" bad-end -o "$tmp/ended.safetensors"
ok "... with the model in place" test -s "$tmp/ended.safetensors"
done_testing

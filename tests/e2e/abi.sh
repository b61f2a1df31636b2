#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The promise of docs/abi.md: the header in all dialects, its layout beside that of 1.0, and plugins of 1.0.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"

cc=${CC:-cc}
if ! command -v "$cc" >/dev/null 2>&1; then
    skip "the ABI" "there is no $cc"
    done_testing
    exit
fi
old=$PARE_TOP_SRC/tests/old-plugins now=$PARE_TOP_SRC/core/include

# ---- the header
cat >"$tmp/plugin.c" <<'E2'
#include <pare/plugin.h>
static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    return PARE_HAS(host, decided) && ctx ? PARE_OK : PARE_FAILED;
}
static const struct pare_param params[] = {{.name = "x", .type = PARE_INT}};
static const struct pare_plugin plugin = {PARE_PLUGIN_HEAD, .id = "x", .apply = apply, PARE_PLUGIN_PARAMS(params)};
PARE_PLUGIN(plugin)
E2
cat >"$tmp/plugin.cpp" <<'E2'
#include <pare/plugin.h>
static int apply(pare_ctx *ctx, const pare_host *host)
{
    return PARE_HAS(host, decided) && ctx ? PARE_OK : PARE_FAILED;
}
static pare_plugin describe()
{
    pare_plugin p{};
    p.apply = apply;
    return p;
}
static const pare_plugin plugin = describe();
PARE_PLUGIN(plugin)
E2
for std in c99 c11 c17; do
    ok "the header as $std" "$cc" "-std=$std" -pedantic-errors -Wall -Wextra -Wstrict-prototypes -Werror -fsyntax-only "-I$now" "$tmp/plugin.c"
done
for std in c++11 c++17 c++20; do
    if command -v g++ >/dev/null 2>&1; then
        ok "the header as $std" g++ "-std=$std" -Wpedantic -Wall -Wextra -Werror -fsyntax-only "-I$now" "$tmp/plugin.cpp"
    else
        skip "the header as $std" "there is no g++"
    fi
done

# ---- its layout
for header in "$old" "$now"; do
    "$cc" -std=c11 "-I$header" -o "$tmp/layout" "$old/layout.c" && "$tmp/layout" >>"$tmp/layout.$(basename "$header")"
    result $? "layout: builds with the header in $(basename "$header")"
done
is "layout: every field and number is where 1.0 had it" "" "$(diff "$tmp/layout.old-plugins" "$tmp/layout.include")"

awk -f "$PARE_TOP_SRC/tools/api.awk" "$now/pare/plugin.h" >"$tmp/api.md"
is "docs/plugin-api.md is what the header says" "" "$(diff "$tmp/api.md" "$PARE_TOP_SRC/docs/plugin-api.md")"

# ---- plugins
checked() { # FILE NAME
    for check in handshake families in-range same-bytes; do
        "$pare" plugin check "$1" --only "$check" >"$tmp/out" 2>&1
        result $? "$2: $check"
    done
}
for source in "$old"/*.c; do
    name=$(basename "$source" .c)
    [ "$name" != layout ] || continue
    "$cc" -std=c11 -Wall -Wextra -Werror -fPIC -fvisibility=hidden "-I$old" -O2 -shared -o "$tmp/org.example.$name.so" "$source" -lm
    result $? "$name: builds with the header of 1.0"
    checked "$tmp/org.example.$name.so" "$name, built with the header of 1.0"
    built=$old/$(uname -m)/org.example.$name.so
    if [ -f "$built" ]; then
        checked "$built" "$name, as it was built then"
    else
        skip "$name, as it was built then" "there is none for $(uname -m)"
    fi
    if command -v abidiff >/dev/null 2>&1; then
        "$cc" -std=c11 -g -fPIC -fvisibility=hidden "-I$old" -shared -o "$tmp/then.so" "$source" -lm &&
            "$cc" -std=c11 -g -fPIC -fvisibility=hidden "-I$now" -shared -o "$tmp/now.so" "$source" -lm &&
            abidiff "$tmp/then.so" "$tmp/now.so" >"$tmp/out" 2>&1
        [ $(($? & 8)) -eq 0 ]
        result $? "$name: abidiff finds nothing incompatible"
    fi
done

# ---- what the guide shows as a whole is one
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$PARE_TOP_SRC/docs/plugins/transform.md" >"$tmp/shown.c"
ok "docs/plugins/transform.md: its plugin is built" "$cc" -std=c11 -Wall -Wextra -Werror -fPIC -shared "-I$now" -O2 \
    -o "$tmp/shown.so" "$tmp/shown.c" -lm
ok "... and holds the contract" "$pare" plugin check --strict "$tmp/shown.so"
done_testing

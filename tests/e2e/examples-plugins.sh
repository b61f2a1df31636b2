#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The example plugins, as somebody finds them who installed Pare: each builds against the installed header and passes its
# own tests with the installed program.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"

for tool in "${CC:-cc}" make pkg-config; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        skip "example plugins" "there is no $tool"
        done_testing
        exit
    fi
done

ok "make install" env MAKEFLAGS= make -s -C "$PARE_TOP_BUILD" install DESTDIR="$tmp/root"
pc=$(find "$tmp/root" -name pare.pc)
variable() { PKG_CONFIG_PATH=${pc%/*} pkg-config --variable="$1" pare; }
prefix=$tmp/root$(variable prefix)
is "installed: pare.pc" "-I$prefix/include" \
    "$(PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$tmp/root pkg-config --cflags pare | tr -d '\\' | sed 's/ *$//')"

meson=$(command -v meson) && command -v ninja >/dev/null 2>&1 || meson=
# What an installation would have, at the place where this one is.
mkdir "$tmp/pc"
sed "s|^prefix=.*|prefix=$prefix|" "$pc" >"$tmp/pc/pare.pc"

for source in "$PARE_TOP_SRC"/share/examples/plugins/*/; do
    name=$(basename "$source")
    folder=$tmp/root$(variable datadir)/pare/share/examples/plugins/$name
    is "$name: all of it is installed" "$(cd "$source" && ls | grep -v '\.so$')" "$(ls "$folder" 2>&1)"
    compiler=$(sed -n 's/^# needs: //p' "$source/Makefile")
    if ! command -v "${compiler:-make}" >/dev/null 2>&1; then
        skip "$name: make" "there is no $compiler"
        continue
    fi
    ok "$name: make" env MAKEFLAGS= PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$tmp/root" \
        make -C "$folder" CFLAGS='-O2 -Werror' CXXFLAGS='-O2 -Werror'
    ok "$name: make check" env MAKEFLAGS= PARE="$prefix/bin/pare" PARE_PLUGIN_PATH="$tmp/root$(variable plugindir)" \
        make -C "$folder" check
    [ -f "$folder/meson.build" ] || continue
    if [ -z "$meson" ]; then
        skip "$name: meson" "there is no meson, or no ninja"
        continue
    fi
    ok "$name: meson" env PKG_CONFIG_PATH="$tmp/pc" \
        sh -c "meson setup --werror '$tmp/meson/$name' '$folder' && meson compile -C '$tmp/meson/$name'"
done

# ---- in a repository of its own, as ci.yml has it: beside Pare as it is installed, and beside its source
export PARE="$prefix/bin/pare" PARE_PLUGIN_PATH="$tmp/root$(variable plugindir)" MAKEFLAGS=
cp -R "$PARE_TOP_SRC/share/examples/plugins/codebook" "$tmp/own"
chmod -R u+w "$tmp/own"
ok "a copy: make check, beside an installation" env PKG_CONFIG_PATH="$tmp/pc" make -C "$tmp/own" check
ok "a copy: make check, beside the source" \
    env PKG_CONFIG_PATH="$tmp" make -C "$tmp/own" check PARE_SOURCE="$(cd "$PARE_TOP_SRC" && pwd)"
if [ -n "$meson" ]; then
    ok "a copy: meson test" env PKG_CONFIG_PATH="$tmp/pc" \
        sh -c "meson setup '$tmp/meson/own' '$tmp/own' && meson test -C '$tmp/meson/own'"
else
    skip "a copy: meson test" "there is no meson, or no ninja"
fi
tests=$(for each in "$PARE_TOP_SRC"/share/examples/plugins/*/test.sh; do cksum <"$each"; done | sort -u | wc -l)
is "the others have the same test" 1 "$((tests))"

# ---- what a plugin's own encoding is for: a variant on the front, run by its kernel
cp "$tmp/own"/*.so "$tmp"
sed "s|\.\./\.\./\.\.|$PARE_TOP_SRC/share|" "$tmp/own/pipeline.yaml" >"$tmp/pipeline.yaml"
ok "codebook: its pipeline" "$PARE" run "$tmp/pipeline.yaml" --db "$tmp/front.db" --rounds 2 \
    --set data.evaluate.samples=50
ok "codebook: a variant of it is on the front" \
    sh -c "'$PARE' front --all --db '$tmp/front.db' --format csv | grep -Eq '^[^,]*,cb4[^,]*,(sure|front),'"
ok "codebook: bench names its kernel" \
    sh -c "PARE_PLUGIN_PATH='$tmp:$PARE_PLUGIN_PATH' '$PARE' bench 'cb4[rounds=100]' --layers --db '$tmp/front.db' |
        grep -q \"plugin's codebook 4 bits\""
done_testing

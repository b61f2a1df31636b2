#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A full disk and a read-only one: one clear error, and what was there stays whole. Needs root, for a small tmpfs.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"
first=$PARE_TOP_SRC/pipelines/first.yaml
few="--set data.evaluate.samples=100 --set data.calibrate.samples=16 --no-latency"
mkdir "$tmp/disk"
if ! mount -t tmpfs -o size=3500k pare-test "$tmp/disk" 2>/dev/null; then
    skip "full and read-only disks" "no right to mount a tmpfs"
    done_testing
    exit 0
fi
trap 'umount "$tmp/disk" 2>/dev/null; rm -rf "$tmp"' EXIT

# the baseline's model alone takes 3 MB
# shellcheck disable=SC2086
"$pare" run "$first" --db "$tmp/disk/full.db" $few >"$tmp/out" 2>"$tmp/said"
code=$?
is "a full disk ends the run with 1 or 3" 1 "$([ $code -eq 1 ] || [ $code -eq 3 ] && echo 1)"
ok "and says so" grep -Eqi 'no space|disk.*full|cannot write' "$tmp/said"
ok "the database is whole" "$pare" db check --db "$tmp/disk/full.db"
rm -rf "$tmp"/disk/full.db.d/*.part

umount "$tmp/disk"
mount -t tmpfs -o size=30m pare-test "$tmp/disk"
# shellcheck disable=SC2086
ok "a run on a disk with room" "$pare" run "$first" --db "$tmp/disk/some.db" $few
mount -o remount,ro "$tmp/disk"
# shellcheck disable=SC2086
fails_with "[12]" 'read-only|cannot be written|read.only' "a read-only disk is refused" "$pare" run "$first" --db "$tmp/disk/some.db" $few
ok "but can be read" "$pare" list --db "$tmp/disk/some.db"
done_testing

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install what tests need, build, run all tests, then the unit tests and first.yaml again under
# AddressSanitizer and UndefinedBehaviorSanitizer, then those of the kernels on an emulated aarch64.
# The last line counts what ran.
set -u
cd "$(dirname "$0")" || exit 1
. tools/debian.sh
pare_packages $PARE_BUILD_PACKAGES $PARE_TEST_PACKAGES || exit 1
pare_build build-test --enable-werror || exit 1
# every line "# PASS:  N" of the harness's summaries in these logs, added up
count() {
    key=$1
    shift
    cat "$@" | awk -v key="# $key:" 'index($0, key) == 1 { sub(key, ""); n += $0 } END { print n + 0 }'
}
# What became of a part of the tests: what failed, with what it printed, else why there are none.
tell() { # PART FOLDER STATUS
    log=$2/check.log
    echo "$1: $(count PASS "$log") passed, $(count SKIP "$log") skipped"
    [ "$3" -ne 0 ] || return 0
    grep -E '^(FAIL|ERROR|XPASS):' "$log" || tail -n 30 "$log"
    find "$2" -name '*.log' -path '*tests*' -exec grep -h -A 8 '^not ok' {} + | head -n 60
}
make -C build-test -j"$PARE_JOBS" check >build-test/check.log 2>&1
plain=$?
tell plain build-test $plain
make -C build-test -j"$PARE_JOBS" check-sanitize >build-test/sanitize.log 2>&1
sanitized=$?
mkdir -p build-test/sanitize && mv build-test/sanitize.log build-test/sanitize/check.log
tell sanitized build-test/sanitize $sanitized
mkdir -p build-aarch64
tools/aarch64.sh build-aarch64 >build-aarch64/check.log 2>&1
crossed=$?
if [ "$crossed" -eq 77 ]; then
    echo "aarch64: its packages cannot be had here"
else
    tell aarch64 build-aarch64 $crossed
fi
set -- build-test/check.log build-test/sanitize/check.log build-aarch64/check.log
passed=$(count PASS "$@") failed=$(($(count FAIL "$@") + $(count ERROR "$@") + $(count XPASS "$@")))
skipped=$(count SKIP "$@")
if [ "$crossed" -eq 77 ]; then
    crossed=0 skipped=$((skipped + 1))
fi
if [ "$plain" -ne 0 ] || [ "$sanitized" -ne 0 ] || [ "$crossed" -ne 0 ]; then
    [ "$failed" -ne 0 ] || failed=1 # a build or a harness that broke off counts
    echo "logs: $*"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

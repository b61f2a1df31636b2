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
make -C build-test -j"$PARE_JOBS" check >build-test/check.log 2>&1
plain=$?
tail -n 14 build-test/check.log
make -C build-test check-sanitize >build-test/check-sanitize.log 2>&1
sanitized=$?
tail -n 14 build-test/check-sanitize.log
mkdir -p build-aarch64
tools/aarch64.sh build-aarch64 >build-aarch64/check.log 2>&1
crossed=$?
tail -n 14 build-aarch64/check.log
# every line "# PASS:  N" of the harness's summaries, added up
logs="build-test/check.log build-test/check-sanitize.log build-aarch64/check.log"
count() {
    # shellcheck disable=SC2086
    cat $logs | awk -v key="# $1:" '
        index($0, key) == 1 { sub(key, ""); n += $0 } END { print n + 0 }'
}
passed=$(count PASS) failed=$(($(count FAIL) + $(count ERROR) + $(count XPASS))) skipped=$(count SKIP)
if [ "$crossed" -eq 77 ]; then
    echo "skipped: aarch64, its packages cannot be had here"
    crossed=0 skipped=$((skipped + 1))
fi
if [ "$failed" -ne 0 ]; then
    # shellcheck disable=SC2086
    grep -hE '^(FAIL|ERROR|XPASS):' $logs
fi
if [ "$plain" -ne 0 ] || [ "$sanitized" -ne 0 ] || [ "$crossed" -ne 0 ]; then
    [ "$failed" -ne 0 ] || failed=1 # a build or a harness that broke off counts
    echo "logs: $logs"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install what tests need, build, run all tests, then the unit tests and first.yaml again under
# AddressSanitizer and UndefinedBehaviorSanitizer. The last line counts what ran.
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
# every line "# PASS:  N" of the harness's summaries, added up
count() {
    cat build-test/check.log build-test/check-sanitize.log | awk -v key="# $1:" '
        index($0, key) == 1 { sub(key, ""); n += $0 } END { print n + 0 }'
}
passed=$(count PASS) failed=$(($(count FAIL) + $(count ERROR) + $(count XPASS))) skipped=$(count SKIP)
if [ "$failed" -ne 0 ]; then
    grep -hE '^(FAIL|ERROR|XPASS):' build-test/check.log build-test/check-sanitize.log
fi
if [ "$plain" -ne 0 ] || [ "$sanitized" -ne 0 ]; then
    [ "$failed" -ne 0 ] || failed=1 # a build or a harness that broke off counts
    echo "logs: build-test/check.log build-test/check-sanitize.log"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

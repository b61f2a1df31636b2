# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# End-to-end tests in TAP. Sourced; every test has a folder of its own, removed at the end.
#   ok DESCRIPTION COMMAND...                  it succeeds
#   is DESCRIPTION WANT GOT                    equal texts
#   fails_with CODE PATTERN DESCRIPTION COMMAND...   it exits with CODE and stderr matches (grep -E)
#   skip DESCRIPTION REASON
#   done_testing
: "${PARE_TOP_SRC:=$(cd "$(dirname "$0")/../.." && pwd)}" "${PARE_TOP_BUILD:=$PWD}"
export PARE_TOP_SRC PARE_TOP_BUILD
: "${PARE_PLUGIN_PATH:=$PARE_TOP_BUILD/plugins}"
export PARE_PLUGIN_PATH
pare="$PARE_TOP_BUILD/pare"
unset PARE_DB
tap_n=0
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pare-e2e-XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
: "${XDG_CACHE_HOME:=$tmp/cache}"
export XDG_CACHE_HOME

result() { # 0|1 DESCRIPTION
    tap_n=$((tap_n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $tap_n - $2"; else
        echo "not ok $tap_n - $2"
        for f in "$tmp/out" "$tmp/err"; do
            [ -s "$f" ] && sed 's/^/# /' "$f" | head -n 30
        done
    fi
}

ok() {
    what=$1
    shift
    "$@" >"$tmp/out" 2>"$tmp/err"
    result $? "$what"
}

is() {
    : >"$tmp/err"
    printf 'want: %s\ngot:  %s\n' "$2" "$3" >"$tmp/out"
    [ "$2" = "$3" ]
    result $? "$1"
}

fails_with() {
    code=$1 pattern=$2 what=$3
    shift 3
    "$@" >"$tmp/out" 2>"$tmp/err"
    got=$?
    echo "$got" | grep -Eqx -- "$code" && grep -Eq -- "$pattern" "$tmp/err"
    status=$?
    [ "$status" -eq 0 ] || echo "exit $got (wanted $code), pattern $pattern" >>"$tmp/err"
    result $status "$what"
}

skip() {
    tap_n=$((tap_n + 1))
    echo "ok $tap_n - $1 # SKIP $2"
}

done_testing() { echo "1..$tap_n"; }

# One number or text out of a database.
sql() { "$pare" query "$2" --db "$1" --format csv 2>/dev/null | sed -n '2s/\r$//p'; }

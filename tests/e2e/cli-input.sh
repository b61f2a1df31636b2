#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the commands say to wrong input: the exit status, and a message that names the thing.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"
db=$tmp/tiny.db
"$PARE_TOP_BUILD/tests/e2e/fill_store" "$db" || exit 1

# ---- the program
fails_with 2 "'frnt' is no command" "an unknown command" "$pare" frnt
fails_with 2 "did you mean 'front'" "... and the nearest" "$pare" frnt
fails_with 2 "not built yet" "a command of later" "$pare" gc
fails_with 2 "'db merge' is not built yet" "db merge" "$pare" db merge x
for command in $("$pare" help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
    "$pare" "$command" --help >"$tmp/help" 2>&1 && grep -q '^usage: pare ' "$tmp/help"
    result $? "$command --help"
    case $command in help | db | worker) ;; *)
        grep -q 'examples:' "$tmp/help"
        result $? "$command --help: examples"
        ;;
    esac
    fails_with 2 "no option '--nonsense'" "$command: an unknown option" "$pare" "$command" --nonsense
done
fails_with 2 "did you mean '--quick'" "an option, nearly" "$pare" run x.yaml --quik
fails_with 2 "did you mean '--format'" "... with a value" "$pare" list --fromat=csv
fails_with 2 "did you mean 'front'" "help of a command, nearly" "$pare" help frnt
"$pare" help fro | grep -q '^usage: pare front '
result $? "help of a command, shortened"
fails_with 2 "options follow it" "an option before the command" "$pare" --db x list
fails_with 2 "FILE is missing" "run: of what" "$pare" run
fails_with 2 "VARIANT is missing" "show: of what" "$pare" show
fails_with 2 "PLUGIN is missing" "apply: by what" "$pare" apply model -o x
fails_with 2 "one of 'check . backup FILE' is missing" "db: which" "$pare" db
fails_with 2 "too many arguments: 'c'" "too many arguments" "$pare" diff a b c
fails_with 2 "PARE_ISA is 'avx'" "a wrong instruction set in the environment" env PARE_ISA=avx "$pare" list
"$pare" schema --nonsense 2>&1 | grep -q '^usage: pare schema$'
result $? "usage of a command without arguments"
fails_with 2 "none of table, json" "an unknown format" "$pare" list --format xml --db "$db"

# ---- the database
for command in front pick list 'show q8' 'why q8' 'diff q8 q4' 'query @failed' 'tag q8 x' 'note x' \
    'export q8 -o x' 'db check'; do
    # shellcheck disable=SC2086
    fails_with 2 'nothere.db' "$command: no database" "$pare" $command --db "$tmp/nothere.db"
done
is "... and none was made" "" "$(ls "$tmp" | grep nothere)"
echo "this is text, not a database, and long enough to be read as one" >"$tmp/text.db"
fails_with 2 'text.db' "a database that is none" "$pare" front --db "$tmp/text.db"
if command -v sqlite3 >/dev/null; then
    sqlite3 "$tmp/other.db" 'create table t(x); insert into t values(1)'
    fails_with 2 'other.db' "a database that is not ours" "$pare" front --db "$tmp/other.db"
    cp "$db" "$tmp/newer.db"
    sqlite3 "$tmp/newer.db" 'pragma user_version = 999'
    ok "a newer database can be read" "$pare" list --db "$tmp/newer.db"
    grep -q 'newer' "$tmp/err"
    result $? "... and it is said"
    fails_with 2 'newer.db' "... but not written" "$pare" tag q8 x --db "$tmp/newer.db"
else
    skip "databases of others" "there is no sqlite3"
fi
if [ "$(id -u)" -ne 0 ]; then
    cp "$db" "$tmp/fixed.db"
    chmod 444 "$tmp/fixed.db"
    ok "a read-only database can be read" "$pare" front --db "$tmp/fixed.db"
    ok "... but not written" sh -c '! "$1" tag q8 x --db "$2"' sh "$pare" "$tmp/fixed.db"
else
    skip "a read-only database" "root can write it"
fi

if [ "$(id -u)" -ne 0 ]; then
    mkdir "$tmp/closed" && chmod 000 "$tmp/closed"
    fails_with 1 'cannot open .*closed/x.db' "a database in a folder that cannot be read" "$pare" list --db "$tmp/closed/x.db"
    chmod 700 "$tmp/closed"
else
    skip "a folder that cannot be read" "root can read it"
fi

# ---- names in it
fails_with 2 "there is no variant 'q9'" "an unknown variant" "$pare" show q9 --db "$db"
fails_with 2 "did you mean 'q[48]'" "... and the nearest" "$pare" why q9 --db "$db"
fails_with 2 "there is no pipeline 'tyni'" "an unknown pipeline" "$pare" front tyni --db "$db"
fails_with 2 "on host mars" "an unknown host" "$pare" front --host mars --db "$db"
fails_with 2 "for shape server" "an unknown shape" "$pare" pick --shape server --db "$db"
fails_with 2 "no metric 'latency'" "an unknown metric" "$pare" pick --min latency --db "$db"
fails_with 2 "did you mean 'latency_ms'" "... and the nearest" "$pare" pick --min latency_m --db "$db"
fails_with 2 "there are top1, " "... and all there are" "$pare" pick --min speed --db "$db"
fails_with 2 "there are top1, " "... in a constraint, too" "$pare" pick --where 'speed >= 2' --db "$db"
fails_with 2 "use --max top1" "the wrong side of a metric" "$pare" pick --min top1 --db "$db"
fails_with 2 "top2 >= 0.9" "a constraint on no metric" "$pare" pick --where 'top2 >= 0.9' --db "$db"
fails_with 2 "column 6" "a constraint that does not parse" "$pare" pick --where 'top1 = 0.9' --db "$db"
fails_with 2 "did you mean 'label'" "an unknown column" "$pare" list --columns lable --db "$db"
fails_with 2 "no column 'speed'" "sorting by no column" "$pare" list --sort speed --db "$db"
fails_with 2 "not understood" "SQL that is wrong" "$pare" query 'selec 1' --db "$db"
fails_with 2 "one SQL statement" "several statements" "$pare" query 'select 1; select 2' --db "$db"
fails_with 2 "^pare: :label is missing" "a parameter that is missing" "$pare" query @unit-bits --db "$db"
ok "... unless the query does without" "$pare" query @smallest-not-slower --db "$db"
fails_with 2 "a hash takes 4 digits at least" "a hash too short" "$pare" show 86a --db "$db"
fails_with 2 "goes with no other --format" "front --plot as JSON" "$pare" front --plot --format json --db "$db"
fails_with 2 "no whole number from 1 to" "bench: more threads than make sense" "$pare" bench x -t 99999
fails_with 2 "is no NAME=VALUE" "SQL in several arguments" "$pare" query select 1 --db "$db"
fails_with 2 "the model of 'q8' is not kept" "export of what is not there" \
    "$pare" export q8 -o "$tmp/exported" --db "$db"
is "... leaves nothing" "" "$(ls "$tmp" | grep '^exported')"
fails_with 2 "give a variant, or --front" "export of nothing" "$pare" export -o "$tmp/exported" --db "$db"
fails_with 2 "whole number" "a number that is none" "$pare" list -n many --db "$db"

# ---- files
mkdir "$tmp/empty"
: >"$tmp/empty.safetensors"
head -c 100 /dev/zero >"$tmp/zero.safetensors"
for command in model bench 'eval --data x' 'predict x.png'; do
    name=${command%% *}
    rest=${command#"$name"}
    # shellcheck disable=SC2086
    fails_with 2 'nomodel' "$name: a missing model" "$pare" "$name" "$tmp/nomodel" $rest
    # shellcheck disable=SC2086
    fails_with 2 'empty' "$name: a folder that is no model" "$pare" "$name" "$tmp/empty" $rest
    # shellcheck disable=SC2086
    fails_with 2 'zero.safetensors' "$name: a file that is no model" "$pare" "$name" \
        "$tmp/zero.safetensors" $rest
done
mkdir "$tmp/config" && echo '{}' >"$tmp/config/config.json"
fails_with 2 'no model at .*config: it holds no model.safetensors' "model: a folder without weights" "$pare" model "$tmp/config"
fails_with 2 'no kind of unit' "model: an unknown kind" "$pare" model "$tmp/empty" --kind layer
fails_with 2 'no family' "model new: an unknown family" "$pare" model new --family cat --shape 1 -o "$tmp/m"
fails_with 2 'is no shape' "model new: a wrong shape" "$pare" model new --family vit --shape 1,2 -o "$tmp/m"
fails_with 2 'must fit' "model new: an impossible shape" \
    "$pare" model new --family vit --shape 4,16,3,8,1,2,16 -o "$tmp/m"
[ ! -e "$tmp/m" ]
result $? "... leaves nothing"
fails_with 2 "no plugin is called 'quantise'" "plugins: an unknown one" "$pare" plugins quantise
fails_with 2 "did you mean 'quantize'" "... and the nearest" "$pare" plugins quantise
fails_with 2 'nothere.so' "plugins: a missing file" "$pare" plugins "$tmp/nothere.so"
fails_with 2 "a file's name needs a slash: ./quantize.so" "plugins: a file without a slash" "$pare" plugins quantize.so
fails_with 2 'is no shared object' "plugins: a file that is none" "$pare" plugins "$tmp/text.db"
fails_with 2 'nothere.yaml' "plan: a missing file" "$pare" plan "$tmp/nothere.yaml"
printf 'pare: 1\nname: x\nmodle: y\nstages: []\n' >"$tmp/bad.yaml"
fails_with 2 'bad.yaml:3:1: .*modle' "plan: an unknown key" "$pare" plan "$tmp/bad.yaml"
"$pare" plan "$tmp/bad.yaml" --format json 2>/dev/null | grep -q '"line": 3'
result $? "plan --format json: mistakes too"
fails_with 2 'nomodel' "init: a missing model" "$pare" init "$tmp/nomodel" "$tmp/empty"
done_testing

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Completion: what the program offers, and what the shells make of it.
. "${PARE_TOP_SRC:-$(dirname "$0")/../..}/tests/e2e/lib.sh"
PARE_DB=$tmp/both.db
export PARE_DB
ok "a database" "$PARE_TOP_BUILD/tests/e2e/fill_store" --two-pipelines "$PARE_DB"
shells=$PARE_TOP_SRC/share/completions

offers() { # WANT DESCRIPTION WORD...: the candidates, one blank between
    want=$1 what=$2
    shift 2
    is "$what" "$want" "$("$pare" complete -- "$@" 2>&1 | cut -f1 | tr '\n' ' ' | sed 's/ $//')"
}
offers "front" "a command" fro
offers "--output --front --hf --gguf --decode --nll --force --db --help" "options, each once" export --
offers "--data --db" "options by their beginning" eval --d
offers "--inputs" "an option that other options' help names" eval --inp
offers "table" "values of an option" front --format t
offers "--format=csv" "values after =" front --format=c
offers "prefill decode whole" "phases" bench m --phase ""
offers "hf llama.cpp" "methods" eval m --method ""
offers "speedup_lo" "columns" list --sort speedup_l
offers "-speedup_lo" "columns, highest first" list --sort -speedup_l
offers "label,top1_lo" "columns after a comma" list --columns label,top1_l
offers "check backup" "words of a command" db ""
offers ":files" "a file after one" db backup ""
offers ":files" "a file" plan x
offers "q4 q8" "labels" show q
offers "other:baseline other:q8" "PIPELINE:LABEL" show other:
offers "p2:4" "a label with a colon" why p2
offers "good" "a tag" export goo
offers "other" "a pipeline" front o
offers "nuc" "a host" front --host ""
offers "edge" "a shape" pick --shape ""
offers "latency_ms" "metrics, the lower the better" pick --min lat
offers "top1 agreement acc_norm spearman" "metrics, the higher the better" pick --max ""
offers "@failed" "a query" query @f
is "queries: nothing but queries" "$("$pare" query --list --format json | grep -c '"name"')" \
    "$("$pare" complete -- query @ | grep -c '^@[a-z-]*	[A-Z].*$')"
offers "quantize :files" "a plugin, or its file" apply m quant
offers "bits=" "a plugin's parameters" apply m quantize b
offers "calibration" "splits of the data" eval m --data "$PARE_TOP_SRC/share/data/fashion-mnist" --split cal
offers "" "no command" frnt ""
PARE_DB=$tmp/none.db
is "no database: no labels" "" "$("$pare" complete -- show q 2>/dev/null)"
is "... and none was made" "" "$(ls "$tmp" | grep none)"
PARE_DB=$tmp/both.db

# ---- the shells
PATH=$PARE_TOP_BUILD:$PATH
export PATH
if command -v bash >/dev/null; then
    in_bash() { # LINE
        bash --norc -c 'source "$1" && COMP_WORDBREAKS=$'"' \\t\\n\"\\'@><=;|&(:'"' &&
            COMP_LINE=$2 COMP_POINT=${#2} && _pare && echo "${COMPREPLY[*]}"' bash "$shells/pare.bash" "$1" 2>&1
    }
    is "bash: a command" front "$(in_bash "pare fro")"
    is "bash: what follows a blank" "check backup" "$(in_bash "pare db ")"
    is "bash: behind a colon, where words break" "baseline q8" "$(in_bash "pare show other:")"
    is "bash: a query" "@failed" "$(in_bash "pare query @f")"
    is "bash: behind =" "csv" "$(in_bash "pare front --format=c")"
    is "bash: files" "$PARE_TOP_SRC/README.md" "$(in_bash "pare plan $PARE_TOP_SRC/READ")"
else
    skip "bash" "there is none"
fi
if command -v fish >/dev/null; then
    in_fish() { HOME=$tmp fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$shells/pare.fish" "$1" 2>&1 | cut -f1 | tr '\n' ' '; }
    is "fish: a command" "front " "$(in_fish "pare fro")"
    is "fish: labels" "other:baseline other:q8 " "$(in_fish "pare show other:")"
    is "fish: a query" "@failed " "$(in_fish "pare query @f")"
    is "fish: files" "$PARE_TOP_SRC/README.md " "$(in_fish "pare plan $PARE_TOP_SRC/READ")"
else
    skip "fish" "there is none"
fi
if command -v zsh >/dev/null; then
    in_zsh() { # PREFIX WORD...: with stand-ins for what needs a terminal
        zsh -f -c 'compdef() { }
            _files() { print -r -- files }
            _describe() { print -r -- "${(P)2}" }
            script=$1 PREFIX=$2
            shift 2
            words=(pare "$@" "$PREFIX")
            CURRENT=$#words
            source "$script"' zsh "$shells/pare.zsh" "$@" 2>&1
    }
    is "zsh: a command" "front:Show the variants worth having, and how sure that is" "$(in_zsh fro)"
    is "zsh: labels, colons escaped" 'other\:q8:ok' "$(in_zsh other:q show)"
    is "zsh: files" files "$(in_zsh ./READ plan)"
    is "zsh: syntax" "" "$(zsh -n "$shells/pare.zsh" 2>&1)"
else
    skip "zsh" "there is none"
fi
done_testing

# SPDX-License-Identifier: Apache-2.0
# Completion of pare in bash. Commands and options are asked of the program itself, so that they are
# never out of date.
_pare_words() { compgen -W "$1" -- "${COMP_WORDS[COMP_CWORD]}"; }

_pare_column() { # COLUMN of `variants`
    pare list --columns "$1" --format csv 2>/dev/null | tr -d '\r' | sed -n '2,$p' | sort -u
}

_pare() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} cmd=${COMP_WORDS[1]}
    local IFS=$'\n'
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(_pare_words "$(pare help 2>/dev/null |
            sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')")
        return
    fi
    case $prev in
    --format) mapfile -t COMPREPLY < <(_pare_words $'table\njson\ncsv\nmarkdown'); return ;;
    --kind) mapfile -t COMPREPLY < <(_pare_words $'linear\nhead\nchannel\nbranch\nblock\nstream\nall'); return ;;
    --min) mapfile -t COMPREPLY < <(_pare_words $'latency_ms\nsize_bytes\nmacs\nparameters\npeak_rss_bytes'); return ;;
    --max) mapfile -t COMPREPLY < <(_pare_words top1); return ;;
    --host | --shape) mapfile -t COMPREPLY < <(_pare_words "$(_pare_column "${prev#--}")"); return ;;
    --db | --data | --output | -o | --inputs | --labels) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    esac
    case $cur in
    -*)
        mapfile -t COMPREPLY < <(_pare_words "$(pare "$cmd" --help 2>/dev/null |
            sed -n '/^options:/,$s/^ .*\(--[a-z-]*\).*/\1/p')")
        return
        ;;
    @*)
        mapfile -t COMPREPLY < <(_pare_words "$(pare query --list --format csv 2>/dev/null |
            sed -n '2,$s/^\([^,]*\),.*/@\1/p')")
        return
        ;;
    esac
    case $cmd in
    show | why | diff | tag | note | export) mapfile -t COMPREPLY < <(_pare_words "$(_pare_column label)") ;;
    front | pick | list) mapfile -t COMPREPLY < <(_pare_words "$(_pare_column pipeline)") ;;
    plugins | apply)
        mapfile -t COMPREPLY < <(_pare_words "$(pare plugins --format csv 2>/dev/null |
            sed -n '2,$s/^\([^,]*\),.*/\1/p')"; compgen -f -- "$cur")
        ;;
    help) mapfile -t COMPREPLY < <(_pare_words "$(pare help 2>/dev/null |
        sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')") ;;
    db) mapfile -t COMPREPLY < <(_pare_words $'check\nbackup') ;;
    model | eval | bench | predict)
        mapfile -t COMPREPLY < <(_pare_words "$(_pare_column label)"; compgen -f -- "$cur")
        ;;
    *) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    esac
}
complete -o filenames -F _pare pare

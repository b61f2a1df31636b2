# SPDX-License-Identifier: Apache-2.0
# Completion of pare in bash. The program itself is asked what may follow, so that nothing here is ever
# out of date.
_pare() {
    local line=${COMP_LINE:0:COMP_POINT} word kept i
    local -a words replies
    # readline cuts words at : and = too, which labels and settings hold: cut at blanks alone
    read -ra words <<<"$line"
    case $line in *[[:blank:]]) words+=('') ;; esac
    word=${words[${#words[@]} - 1]}
    mapfile -t replies < <(pare complete -- "${words[@]:1}" 2>/dev/null)
    COMPREPLY=()
    for i in "${replies[@]}"; do
        case $i in
        :files)
            compopt -o filenames 2>/dev/null
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")
            ;;
        *) COMPREPLY+=("${i%%$'\t'*}") ;;
        esac
    done
    case ${COMPREPLY[*]} in *=) compopt -o nospace 2>/dev/null ;; esac
    # readline replaces only what follows the last of its own breaks
    kept=
    for ((i = 0; i < ${#word}; i++)); do
        case ${word:i:1}$COMP_WORDBREAKS in :*:* | =*=*) kept=${word:0:i+1} ;; esac
    done
    [ -z "$kept" ] || COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}
complete -F _pare pare

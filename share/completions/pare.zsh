#compdef pare
# SPDX-License-Identifier: Apache-2.0
# Completion of pare in zsh, installed as _pare. The program itself is asked what may follow, so that
# nothing here is ever out of date.
_pare() {
    local line files=0
    local -a plain settings
    for line in "${(@f)$(pare complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
        case $line in
        '') ;;
        :files) files=1 ;;
        *=$'\t'*) settings+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        *) plain+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done
    local found=1
    (( $#plain )) && _describe 'pare' plain && found=0
    (( $#settings )) && _describe 'setting' settings -S '' && found=0
    (( files )) && _files && found=0
    return found
}
_pare "$@"

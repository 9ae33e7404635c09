# Completion of bitsadmin(1) for bash. The switches and what follows them come from /help, GUIDs from
# the service, files from the shell. CLI-496
# SPDX-License-Identifier: LGPL-2.1-or-later

_bitsadmin() {
        local cur=${COMP_WORDS[COMP_CWORD]} help switch= words= word
        local -i i at=0
        local -a arguments
        COMPREPLY=()

        for ((i = 1; i < COMP_CWORD; i++)); do
                word=${COMP_WORDS[i],,}
                case $word in
                /rawreturn | /wrap | /nowrap) ;;
                *) [[ -n $switch ]] || switch=$word at=$i ;;
                esac
        done
        help=$(bitsadmin /rawreturn /help 2>/dev/null)
        if [[ -z $switch ]]; then
                words="/rawreturn /wrap /nowrap /help $(sed -n 's|^  \(/[a-z]*\).*|\1|p' <<<"$help")"
                COMPREPLY=($(compgen -W "$words" -- "${cur,,}"))
                return
        fi
        while read -r word cur; do
                [[ $word != "$switch" ]] || read -ra arguments <<<"$cur"
        done <<<"$help"
        cur=${COMP_WORDS[COMP_CWORD]}
        # What may stand anywhere, then what belongs to this place.
        for word in "${arguments[@]}"; do
                [[ $cur != /* || $word != \[/* ]] || words+=" ${word//[][|]/ }"
        done
        word=${arguments[COMP_CWORD-at-1]}
        case $word in
        job) words+=" $(bitsadmin /rawreturn /list 2>/dev/null | sed -n 's/^\({[0-9A-F-]*}\).*/\1/p')" ;;
        [A-Z]*\|*) words+=" ${word//|/ }" cur=${cur^^} ;;
        esac
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
        [[ ${#COMPREPLY[@]} -gt 0 || $cur == /[a-z]* && $word == \[/* ]] || case $word in
        textfile | local | path | program | remote) COMPREPLY=($(compgen -f -- "$cur")) ;;
        esac
}

complete -o filenames -F _bitsadmin bitsadmin

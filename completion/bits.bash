# Completion of bits(1) for bash. Job ids and names come from the service, files from the shell.
# SPDX-License-Identifier: LGPL-2.1-or-later

_bits_jobs() {
        local user=
        [[ " ${COMP_WORDS[*]} " == *" --user "* ]] && user=--user
        bits $user list --json 2>/dev/null | sed -n 's/^ *"id": "\([^"]*\)".*/\1/p'
}

_bits() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
        local verbs='get create add resume suspend complete cancel wait list show set token'
        local verb= sub= word i words=
        COMPREPLY=()

        for ((i = 1; i < COMP_CWORD; i++)); do
                word=${COMP_WORDS[i]}
                [[ $word == -* ]] && continue
                if [[ -z $verb ]]; then verb=$word; elif [[ -z $sub ]]; then sub=$word; fi
        done

        case $prev in
        --priority) words='foreground high normal low' ;;
        --type) words='download upload upload-reply' ;;
        --as | --local-as | --network-as) COMPREPLY=($(compgen -u -- "$cur")); return ;;
        --from) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --name | --description | --timeout) return ;;
        esac
        if [[ -n $words ]]; then COMPREPLY=($(compgen -W "$words" -- "$cur")); return; fi

        if [[ $cur == -* ]]; then
                words='--json --user --help --version'
                case $verb in
                get) words+=' --name --priority --detach --local-as --network-as' ;;
                create) words+=' --type --description --priority' ;;
                add) words+=' --from' ;;
                wait) words+=' --timeout' ;;
                list) words+=' --all-users' ;;
                token) words+=' --as' ;;
                esac
        else
                case $verb in
                '') words="$verbs help" ;;
                help) words=$verbs ;;
                resume | suspend | complete | cancel | wait | show) words=$(_bits_jobs) ;;
                get) COMPREPLY=($(compgen -f -- "$cur")); return ;;
                add)
                        if [[ -z $sub ]]; then words=$(_bits_jobs)
                        else COMPREPLY=($(compgen -f -- "$cur")); return; fi ;;
                set)
                        if [[ -z $sub ]]; then words=$(_bits_jobs)
                        else
                                words='display-name= description= priority= minimum-retry-delay='
                                words+=' no-progress-timeout= notify-flags='
                                compopt -o nospace 2>/dev/null
                        fi ;;
                token)
                        if [[ -z $sub ]]; then words='set clear flags show'
                        elif [[ ${COMP_WORDS[COMP_CWORD-2]} == flags ]]; then
                                words='none local-file network local-file,network'
                        else words=$(_bits_jobs); fi ;;
                esac
        fi
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
}

complete -F _bits bits

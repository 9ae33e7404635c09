# Completion of bits(1) for bash. Job ids and names come from the service, files from the shell. CLI-495
# SPDX-License-Identifier: LGPL-2.1-or-later

# Ids into words, names into names: of _bits().
_bits_jobs() {
        local user= id name
        [[ " ${COMP_WORDS[*]} " == *" --user "* ]] && user=--user
        while IFS=$'\t' read -r id name; do
                name=${name//\\\"/\"}
                words+=" $id" names+=("${name//\\\\/\\}")
        done < <(bits $user list --json 2>/dev/null | sed -n \
                -e '/^ *"id": /{s/^[^:]*: "\(.*\)",*$/\1/;h;}' \
                -e '/^ *"display-name": /{s/^[^:]*: "\(.*\)",*$/\1/;H;x;s/\n/\t/;p;}')
}

_bits() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
        local verbs='get put create add resume suspend complete cancel wait list watch show set file replace-prefix token credentials certificate take admin'
        local verb= sub= word i words= name
        local -a names=()
        COMPREPLY=()

        for ((i = 1; i < COMP_CWORD; i++)); do
                word=${COMP_WORDS[i]}
                [[ $word == -* ]] && continue
                if [[ -z $verb ]]; then verb=$word; elif [[ -z $sub ]]; then sub=$word; fi
        done

        case $prev in
        --priority) words='foreground high normal low' ;;
        --security) words='check-revocation ignore-name ignore-date ignore-issuer ignore-usage'
                words+=' report-redirects no-redirects https-to-http' ;;
        --type) words='download upload upload-reply' ;;
        --as | --local-as | --network-as) COMPREPLY=($(compgen -u -- "$cur")); return ;;
        --from | --password-file | --certificate | --key | --passphrase-file | --reply) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --name | --header | --method | --description | --notify-command | --range | --max-size | --timeout | --proxy | --interval) return ;;
        esac
        if [[ -n $words ]]; then COMPREPLY=($(compgen -W "$words" -- "$cur")); return; fi

        if [[ $cur == -* ]]; then
                words='--json --user --help --version'
                case $verb in
                put) words+=' --reply --name --priority --detach --local-as --network-as --proxy --negotiate'
                     words+=' --proxy-negotiate --notify-command'
                     words+=' --certificate --key --passphrase-file --header --method --security' ;;
                get) words+=' --name --priority --detach --local-as --network-as --proxy --negotiate'
                     words+=' --proxy-negotiate --notify-command --range --dynamic --max-size'
                     words+=' --certificate --key --passphrase-file --header --method --security' ;;
                create) words+=' --type --description --priority --notify-command --dynamic --max-size'
                     words+=' --certificate --key --passphrase-file --header --method --security' ;;
                add) words+=' --from --range' ;;
                wait) words+=' --timeout' ;;
                list) words+=' --all-users' ;;
                watch) words+=' --all-users --interval' ;;
                set) words+=' --keys' ;;
                token) words+=' --as' ;;
                credentials) words+=' --implicit --password-file' ;;
                certificate) words+=' --key --passphrase --passphrase-file' ;;
                admin) words+=' --state-directory=' ;;
                esac
        else
                case $verb in
                '') words="$verbs help" ;;
                help) words=$verbs ;;
                resume | suspend | complete | cancel | wait | watch | take) _bits_jobs ;;
                show)
                        if [[ -z $sub ]]; then _bits_jobs
                        else words=$(bits set --keys 2>/dev/null | sed 's/ .*//')
                                words+=' state type owner owner-uid bytes-total bytes-transferred error error-count'
                                words+=' wait-reason waiting-for next-attempt'; fi ;;
                admin)
                        if [[ -z $sub ]]; then words='owners notify policy'
                        elif [[ $sub == policy ]]; then words=
                        elif [[ $prev == remove && $sub == notify ]]; then _bits_jobs
                        elif [[ $prev == remove ]]; then COMPREPLY=($(compgen -u -- "$cur")); return
                        else words=remove; fi ;;
                get | put) COMPREPLY=($(compgen -f -- "$cur")); return ;;
                add)
                        if [[ -z $sub ]]; then _bits_jobs
                        else COMPREPLY=($(compgen -f -- "$cur")); return; fi ;;
                set)
                        if [[ -z $sub ]]; then _bits_jobs
                        else
                                words=$(bits set --keys 2>/dev/null | sed 's/ .*/=/')
                                compopt -o nospace 2>/dev/null
                        fi ;;
                file)
                        if [[ -z $sub ]]; then words='show url request position valid'
                        elif [[ $prev == "$sub" ]]; then _bits_jobs
                        else words='yes no'; fi ;;
                replace-prefix) [[ -n $sub ]] || _bits_jobs ;;
                certificate)
                        if [[ -z $sub ]]; then words='set remove'
                        elif [[ $prev == set || $prev == remove ]]; then _bits_jobs
                        else COMPREPLY=($(compgen -f -- "$cur")); return; fi ;;
                credentials)
                        case ${COMP_WORDS[COMP_CWORD-1]} in
                        credentials) words='set remove' ;;
                        set | remove) _bits_jobs ;;
                        server | proxy) words='basic digest ntlm negotiate' ;;
                        *) words='server proxy' ;;
                        esac ;;
                token)
                        if [[ -z $sub ]]; then words='set clear flags show'
                        elif [[ ${COMP_WORDS[COMP_CWORD-2]} == flags ]]; then
                                words='none local-file network local-file,network client-certificate'
                        else _bits_jobs; fi ;;
                esac
        fi
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
        for name in "${names[@]}"; do
                # Readline takes : and = for the ends of words.
                [[ $name != *[:=]* ]] || continue
                printf -v name %q "$name"
                [[ $name != "$cur"* ]] || COMPREPLY+=("$name")
        done
}

complete -F _bits bits

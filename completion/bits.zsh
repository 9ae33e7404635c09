#compdef bits
# Completion of bits(1) for zsh. Verbs, options and jobs come from the command itself, files from the
# shell. CLI-495
# SPDX-License-Identifier: LGPL-2.1-or-later

# Ids, with name and state; and the names.
_bits_jobs() {
        local -a user found names
        local line id name
        (( ${words[(I)--user]} )) && user=(--user)
        for line in ${(f)"$(_call_program jobs bits $user list --json 2>/dev/null | sed -n \
            -e '/^ *"id": /{s/^[^:]*: "\(.*\)",*$/\1/;h;}' \
            -e '/^ *"display-name": /{s/^[^:]*: "\(.*\)",*$/\1/;H;}' \
            -e '/^ *"state": /{s/^[^:]*: "\(.*\)",*$/\1/;H;x;s/\n/\t/g;p;}')"}; do
                id=${line%%$'\t'*} name=${${line#*$'\t'}%$'\t'*}
                name=${${name//\\\"/\"}//\\\\/\\}
                found+=("$id:$name, ${line##*$'\t'}")
                names+=($name)
        done
        _describe -t jobs job found
        compadd -a names
}

_bits_keys() {
        local -a keys
        keys=(${${(f)"$(_call_program keys bits set --keys 2>/dev/null)"}%% *})
        compadd $@ -a keys
}

_bits() {
        local verb sub help before=${words[CURRENT-1]}
        local -a verbs options takes user
        local -i i

        for ((i = 2; i < CURRENT; i++)); do
                if [[ -n $verb && $words[i-1] == --* && -n ${takes[(r)$words[i-1]]} ]]; then
                        continue
                elif [[ $words[i] != -* && -z $verb ]]; then
                        verb=$words[i]
                        help=$(_call_program help bits $verb --help 2>/dev/null)
                        options=(${(u)${(f)"$(print -r -- $help | grep -oE -- '--[a-z-]+')"}})
                        takes=(${${(f)"$(print -r -- $help | grep -oE -- '--[a-z-]+[ =][A-Z]+')"}%%[ =]*})
                elif [[ $words[i] != -* && -z $sub ]]; then
                        sub=$words[i]
                fi
        done

        case $before in
        --priority) compadd foreground high normal low; return ;;
        --security) compadd check-revocation ignore-name ignore-date ignore-issuer ignore-usage \
                        report-redirects no-redirects https-to-http; return ;;
        --type) compadd download upload upload-reply; return ;;
        --as | --local-as | --network-as) _users; return ;;
        --from | --password-file | --certificate | --key | --passphrase-file | --reply) _files; return ;;
        esac
        if [[ -n ${takes[(r)$before]} ]]; then
                _message value
                return
        fi
        if [[ $PREFIX == -* ]]; then
                compadd -- --json --user --help --version $options
                return
        fi
        case $verb in
        '' | help)
                verbs=(${(f)"$(_call_program verbs bits help 2>/dev/null |
                    sed -n 's/^  \([a-z][a-z-]*\)  *\(.*\)/\1:\2/p')"} help:'help, also after a verb')
                _describe -t verbs verb verbs ;;
        resume | suspend | complete | cancel | wait | watch | take) _bits_jobs ;;
        show) if [[ -z $sub ]]; then _bits_jobs; else _bits_keys; fi ;;
        set) if [[ -z $sub ]]; then _bits_jobs; else _bits_keys -S =; fi ;;
        replace-prefix) [[ -n $sub ]] || _bits_jobs ;;
        get | put) _files ;;
        add) if [[ -z $sub ]]; then _bits_jobs; else _files; fi ;;
        file)
                case $before in
                file) compadd show url request position valid ;;
                show | url | request | position | valid) _bits_jobs ;;
                *) [[ $sub != valid ]] || compadd yes no ;;
                esac ;;
        token)
                case $before in
                token) compadd set clear flags show ;;
                set | clear | flags | show) _bits_jobs ;;
                *) [[ $sub != flags ]] ||
                        compadd none local-file network local-file,network client-certificate ;;
                esac ;;
        credentials)
                case $before in
                credentials) compadd set remove ;;
                set | remove) _bits_jobs ;;
                server | proxy) compadd basic digest ntlm negotiate ;;
                basic | digest | ntlm | negotiate) ;;
                *) compadd server proxy ;;
                esac ;;
        certificate)
                case $before in
                certificate) compadd set remove ;;
                set | remove) _bits_jobs ;;
                *) _files ;;
                esac ;;
        admin)
                case $before in
                admin) compadd owners notify policy ;;
                remove) if [[ $sub == notify ]]; then _bits_jobs; else _users; fi ;;
                owners | notify) compadd remove ;;
                esac ;;
        esac
}

_bits "$@"

# SPDX-License-Identifier: Apache-2.0
#
# Completion of spawnctl for bash. Verbs and options are those that the spawnctl which is
# being typed names in its --help. Queues, jobs and recurring jobs are asked of the broker: the
# newest 100 jobs, for a second at most; where there is none, nothing is said. Runs in the shell
# of the person who types. Must expand no word that is typed or found (compgen -W would), and change nothing.

# $1: a verb, or nothing. The lines of its --help that have options.
__spawnctl_lines() {
    "$__spawnctl" ${1:+"$1"} --help 2>/dev/null </dev/null | grep -E '^ +-'
}

__spawnctl_options() {
    __spawnctl_lines "$1" | sed -E 's/^( +(-[A-Za-z], )?--[a-z-]+( [^ ,]+)?(, --?[A-Za-z-]+( [^ ,]+)?)*).*/\1/' |
        grep -oE -- '--[a-z][a-z-]*'
}

__spawnctl_verbs() {
    "$__spawnctl" --help 2>/dev/null </dev/null |
        sed -nE 's/^  ([a-z-]+(, [a-z]+)*) .*/\1/p' | tr -s ', ' '\n'
}

# The first thing in each row of an answer in JSON. A quote that somebody wrote has a backslash
# before it there, and passes for none of ours.
__spawnctl_ask() {
    local name=$1
    shift
    "$__spawnctl" ${__spawnctl_socket:+--socket "$__spawnctl_socket"} --timeout 1s --json "$@" 2>/dev/null </dev/null |
        grep -oE "[[,] ?\{ ?\"$name\": ?\"[A-Za-z0-9._:@/-]+\"" | sed -E 's/.*: ?"(.*)"/\1/'
}

# Whole ids for people who begin one, else their ends, as ps shows them.
__spawnctl_ids() {
    local ids
    ids=$(__spawnctl_ask id ps -n 100 "$@")
    if [[ -n $cur && $'\n'$ids == *$'\n'"$cur"* ]]; then
        printf '%s\n' "$ids"
    else
        sed -E 's/.*-//' <<<"$ids"
    fi
}

# What may come after an option; files come from bash.
__spawnctl_values() {
    case $1 in
        --queue | -q) __spawnctl_ask queue queues ;;
        --stdin) printf '%s\n' null - ;;
        --stdout) printf '%s\n' capture null log - ;;
        --stderr) printf '%s\n' capture null log stdout - ;;
        --user) [[ $verb != run ]] || compgen -u -- "$cur" ;;
        --group) compgen -g -- "$cur" ;;
        --signal) printf '%s\n' HUP INT QUIT KILL USR1 USR2 TERM CONT STOP ;;
        --for) printf '%s\n' finished started ;;
        --reply) printf '%s\n' posted accepted started finished ;;
        --state) printf '%s\n' delayed queued starting running 'done' dead ;;
        --outcome) printf '%s\n' failed exited signalled timed_out cancelled start_failed expired lost code_unknown out_of_memory ;;
        --leftovers) printf '%s\n' keep kill ;;
        --on-conflict) printf '%s\n' reject keep replace after ;;
        --after-failed) printf '%s\n' cancel run keep ;;
        --on-failure) printf '%s\n' none ;;
        --unique-for) printf '%s\n' waiting ended ;;
        --retry-on) printf '%s\n' failed lost timeout start_failed signal out_of_memory ;;
        --ionice) printf '%s\n' idle best-effort ;;
        --after) __spawnctl_ids ;;
    esac
}

# What may come as an argument of the verb, behind $1 others.
__spawnctl_arguments() {
    case $verb:$1 in
        :0) __spawnctl_verbs ;;
        run:0) compgen -c -- "$cur" ;;
        show:*) __spawnctl_ids --all ;;
        logs:0) __spawnctl_ids --all ;;
        wait:0 | kill:*) __spawnctl_ids ;;
        retry:*) __spawnctl_ids --state dead ;;
        start:*) __spawnctl_ids --state delayed ;;
        pause:* | resume:* | drain:* | queues:0 | scale:0) __spawnctl_ask queue queues ;;
        cron:0) printf '%s\n' list run pause resume ;;
        cron:*) __spawnctl_ask name cron list ;;
    esac
}

_spawnctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} verb='' word wants='' lines='' count=0 only_arguments='' i
    local __spawnctl=${COMP_WORDS[0]} __spawnctl_socket=''
    COMPREPLY=()
    type -P -- "$__spawnctl" >/dev/null || return 0

    # bash has --queue=name as three words
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == = ]]; then
            continue
        elif [[ -n $wants ]]; then
            [[ $wants != -s && $wants != --socket ]] || __spawnctl_socket=$word
            [[ $wants != --standalone ]] || __spawnctl_socket=$word/socket
            wants=''
        elif [[ $word == -- ]]; then
            only_arguments=1
        elif [[ $word == -* && -z $only_arguments ]]; then
            [[ -n $lines ]] || lines=$(__spawnctl_lines "$verb")
            # its help shows it with a value; user and group share a line, which has none
            if [[ $word == --user || $word == --group ]] ||
                { [[ $word =~ ^--?[A-Za-z-]+$ ]] && grep -qE -- "(^| )$word(, --[a-z-]+)? [A-Z]" <<<"$lines"; }; then
                wants=$word
            fi
        elif [[ -z $verb ]]; then
            verb=$word lines=''
        else
            count=$((count + 1))
            [[ $verb != run ]] || only_arguments=1
        fi
    done
    [[ $cur != = ]] || cur=''

    case $wants in
        -s | --socket | --standalone | --cwd | --std*) compopt -o default 2>/dev/null ;;
        '') [[ $verb != check-code && ($verb != run || -z $only_arguments$count) ]] || compopt -o default 2>/dev/null ;;
    esac
    while IFS= read -r word; do
        [[ -z $word || $word != "$cur"* ]] || COMPREPLY+=("$word")
    done < <(
        if [[ -n $wants ]]; then
            __spawnctl_values "$wants"
        elif [[ $cur == -* && -z $only_arguments ]]; then
            __spawnctl_options "$verb"
        else
            __spawnctl_arguments "$count"
        fi | sort -u
    )
}

complete -F _spawnctl spawnctl

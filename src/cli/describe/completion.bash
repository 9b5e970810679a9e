# Completion of caracola for bash, written by `caracola completion bash`.
# shellcheck shell=bash

# Sets what there is for a command: `commands` within it, `flags`, and `value`: what a flag or the
# operand of a number takes, a kind and its words; empty where that is nothing.
_caracola_table() {
    commands='' flags='' value=''
    case $1 in
@TABLE@
    esac
}

_caracola_add() {
    local line
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done
}

_caracola_value() {
    local kind=${1-} before='' suffix
    shift
    case $kind in
    file) # whose name ends as one of the words says
        compopt -o filenames 2>/dev/null
        if [ $# -eq 0 ]; then
            _caracola_add < <(compgen -f -- "$current")
            return
        fi
        _caracola_add < <(compgen -d -- "$current")
        for suffix in "$@"; do
            _caracola_add < <(compgen -f -X "!*$suffix" -- "$current")
        done
        ;;
    folder)
        compopt -o filenames 2>/dev/null
        _caracola_add < <(compgen -d -- "$current")
        _caracola_add < <(compgen -W "$*" -- "$current")
        ;;
    list)
        [[ $current != *,* ]] || before=${current%,*},
        _caracola_add < <(compgen -P "$before" -W "$*" -- "${current##*,}")
        ;;
    words) _caracola_add < <(compgen -W "$*" -- "$current") ;;
    esac
}

# Sets `waiting` to the flag of a word that takes the next word as its value, or to nothing.
_caracola_waiting() {
    local rest=${1#-} letter
    waiting=''
    if [[ $1 == --* ]]; then
        rest=${1#--}
        waiting=--${rest//-/_}
        _caracola_table "$command" "$waiting"
        [ -n "$value" ] || waiting=''
        return
    fi
    while [ -n "$rest" ]; do
        letter=${rest:0:1}
        rest=${rest:1}
        _caracola_table "$command" "-$letter"
        [ -z "$value" ] || break
    done
    [ -z "$value" ] || [ -n "$rest" ] || waiting=-$letter
}

_caracola() {
    local command='' current words=() word previous='' commands flags value waiting='' seen=0
    local operands='' i
    COMPREPLY=()
    # Bash takes --flag=value and s3://bucket apart.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [ ${#words[@]} -gt 0 ] && { [[ $word == :* ]] || [ "$previous" = : ]; }; then
            words[-1]+=$word
        elif [ "$word" != = ]; then
            words+=("$word")
        fi
        previous=$word
    done
    current=${COMP_WORDS[COMP_CWORD]}
    [ "$current" != = ] || current=''

    for word in "${words[@]}"; do
        _caracola_table "$command" "$seen"
        if [ -n "$waiting" ]; then
            waiting=''
        elif [ -n "$commands" ] && [[ " $commands " == *" $word "* ]]; then
            command="${command:+$command }$word"
        elif [ -z "$operands" ] && [ "$word" = -- ]; then
            operands=only
        elif [ -z "$operands" ] && [[ $word == -?* ]]; then
            _caracola_waiting "$word"
        else
            seen=$((seen + 1))
        fi
    done

    _caracola_table "$command" "${waiting:-$seen}"
    if [ -z "$waiting" ] && [ -z "$operands" ] && [[ $current == -* ]]; then
        # Shown with underscores, and completed as it was begun.
        if [[ $current == --*-* ]]; then
            flags=${flags//_/-}
        fi
        _caracola_add < <(compgen -W "$flags" -- "$current")
    elif [ -z "$waiting" ] && [ -n "$commands" ]; then
        [ "$seen" -gt 0 ] || _caracola_add < <(compgen -W "$commands" -- "$current")
    else
        # shellcheck disable=SC2086 # a kind and its words
        _caracola_value $value
    fi
}
complete -F _caracola caracola

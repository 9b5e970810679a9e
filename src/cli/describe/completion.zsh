#compdef caracola
# Completion of caracola for zsh, written by `caracola completion zsh`.

# Flags are shown with underscores; the other spelling is shown where one was begun with it.
# In a specification "!" means: understood, but not shown.
_caracola_flags() {
    local -a specs=()
    local underscores='' hyphens='!'
    if [[ $words[CURRENT] == --*-* ]]; then
        underscores='!' hyphens=''
    fi
    case $1 in
@TABLE@
    esac
    _arguments -s -S : $specs
}

_caracola() {
    local curcontext=$curcontext state line command
    local -a commands=()
    typeset -A opt_args
    _arguments -C \
        '(- *)'{-h,--help}'[show the commands]' \
        '(- *)'{-V,--version}'[show the version]' \
        '1:command:->command' \
        '*::operand:->operands'
    case $state in
    command)
@COMMANDS@
        _describe command commands
        ;;
    operands)
        command=$words[1]
        case $command in
@GROUPS@
        esac
        _caracola_flags $command
        ;;
    esac
}

if [[ $funcstack[1] == _caracola ]]; then
    _caracola "$@"
else
    compdef _caracola caracola
fi

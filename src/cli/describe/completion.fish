# Completion of caracola for fish, written by `caracola completion fish`.

# Whether the words of the arguments follow caracola, as its command.
function __caracola_in
    set -l words (commandline -opc)
    set -l last (math 1 + (count $argv))
    test (count $words) -ge $last
    and test "$words[2..$last]" = "$argv"
end

# Whether nothing but caracola and the words of the arguments is there yet.
function __caracola_at
    set -l words (commandline -opc)
    test (count $words) -eq (math 1 + (count $argv))
    and begin
        test (count $argv) -eq 0
        or __caracola_in $argv
    end
end

# Flags are shown with underscores; the other spelling is shown where one was begun with it.
function __caracola_hyphens
    set -l words (commandline -opc)
    string match -qr -- '^--[^=]*-' (commandline -ct) $words[-1]
end

# Folders, and files that end as one of the arguments says.
function __caracola_files
    set -l token (string replace -r -- '^-[^=]*=' '' (commandline -ct))
    for line in (complete -C "'' $token")
        set -l name (string split -- \t $line)[1]
        for suffix in / $argv
            if string match -q -- "*$suffix" $name
                echo $name
            end
        end
    end
end

complete -c caracola -f
@TABLE@

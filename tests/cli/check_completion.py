#!/usr/bin/env python3
"""Completes command lines in bash, zsh and fish themselves, and compares with --help.

Usage: check_completion.py CARACOLA COMPLETIONS    prints TAP
       check_completion.py CARACOLA COMPLETIONS SHELL TEXT    what SHELL offers behind TEXT

COMPLETIONS is the folder of the build with the three scripts. Every flag of every command is offered
by every shell, in both spellings; so are the values that a flag takes, and files and folders.
"""
import os
import pathlib
import pty
import re
import shlex
import subprocess
import sys
import tempfile
import time

FILES = ["note.ogg", "tiny.cara", "base.pt", "gpt2.tiktoken", "event.json", "two words.cara", "app.zip"]
FOLDERS = ["out"]


class Bash:
    """Breaks words as readline does, and calls the function of the script."""

    def __init__(self, completions, folder):
        self.folder = folder
        done = subprocess.run(["bash", "--norc", "-c", f"source {completions}/caracola; complete -p caracola"],
                              capture_output=True, text=True)
        if done.returncode != 0 or done.stderr:
            raise RuntimeError(done.stderr)
        self.source = f"source {completions}/caracola"

    def offers(self, text):
        words = re.findall(r"[=:]+|(?:\\.|[^\s=:])+", text)
        if not words or text[-1].isspace():
            words.append("")
        array = " ".join(shlex.quote(word.replace("\\", "")) for word in words)
        script = (f"{self.source}; COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}; _caracola; "
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "--norc", "-c", script], cwd=self.folder, capture_output=True, text=True)
        if done.stderr:
            raise RuntimeError(done.stderr)
        return {line for line in done.stdout.splitlines() if line}

    def close(self):
        pass


class Fish:
    def __init__(self, completions, folder):
        self.folder, self.script = folder, f"{completions}/caracola.fish"
        self.env = {**os.environ, "HOME": str(folder / ".home"), "XDG_CONFIG_HOME": str(folder / ".home"),
                    "XDG_DATA_HOME": str(folder / ".home")}

    def offers(self, text):
        done = subprocess.run(["fish", "--no-config", "-c", f"source {self.script}; complete -C {shlex.quote(text)}"],
                              cwd=self.folder, capture_output=True, text=True, env=self.env)
        if done.stderr:
            raise RuntimeError(done.stderr)
        return {line.split("\t")[0] for line in done.stdout.splitlines() if line}

    def close(self):
        pass


class Zsh:
    """An interactive zsh on a terminal, whose Tab writes what would be offered into a file."""

    SETUP = r"""
PROMPT= RPROMPT=
fpath=({completions} $fpath)
autoload -Uz compinit && compinit -u -D
zstyle ':completion:*' completer _complete
compadd() {{
    if [[ " ${{(j: :)@[1,(i)(-|--)]}} " == *' -'(O|A|D)* ]]; then
        builtin compadd "$@"
        return
    fi
    local -a hits; local -A before
    builtin compadd -A hits "$@"
    zparseopts -E -A before P: p: S:
    local hit
    for hit in $hits; do
        print -r -- "$IPREFIX$before[-P]$before[-p]$hit" >>{out}.part
    done
    builtin compadd "$@"
}}
capture() {{
    : >{out}.part
    _main_complete
    compstate[insert]='' compstate[list]=''
    mv {out}.part {out}
}}
zle -C capture complete-word capture
bindkey '^I' capture
print ready >{out}
"""

    def __init__(self, completions, folder):
        self.out = pathlib.Path(tempfile.mkdtemp(prefix="caracola-zsh-")) / "out"
        setup = self.out.with_name("setup")
        setup.write_text(self.SETUP.format(completions=completions, out=self.out))
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(["zsh", "-f", "-i"], stdin=slave, stdout=slave, stderr=slave, cwd=folder,
                                        env={**os.environ, "TERM": "dumb", "HISTFILE": ""}, start_new_session=True)
        os.close(slave)
        os.set_blocking(self.master, False)
        self.type(f"source {setup}\n")

    def type(self, text):
        self.out.unlink(missing_ok=True)
        os.write(self.master, text.encode())
        until = time.monotonic() + 60
        while not self.out.exists():
            try:
                os.read(self.master, 65536)
            except BlockingIOError:
                pass
            if time.monotonic() > until:
                raise RuntimeError(f"zsh does not answer to {text!r}")
            time.sleep(0.005)
        return set(self.out.read_text().splitlines())

    def offers(self, text):
        return self.type("\x15" + text + "\t")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


SHELLS = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def helps(caracola):
    """{command: (its flags with a value and without)}, as `caracola help` and --help say."""
    def text(*words):
        return subprocess.run([caracola, "help", *words], capture_output=True, text=True, check=True).stdout

    names = re.findall(r"^  (\w+) {2,}", text().split("Exit status")[0], re.M)
    found = {}
    for name in names:
        group = re.findall(rf"^(?:Usage:|      ) caracola {name} (\w+) \[FLAG\]", text(name), re.M)
        for command in [f"{name} {one}" for one in group] or [name]:
            found[command] = re.findall(r"^  (?:-\w, |    )(--\w+)", text(*command.split()), re.M)
    return names, found


def checks_of(shell, caracola):
    """(name, whether it holds, what was got)"""
    names, commands = helps(caracola)

    def case(text, wanted, unwanted=()):
        got = shell.offers(text)
        plain = {word.rstrip("=/") for word in got}
        yield (f"{text!r} offers {' '.join(wanted) or 'nothing'}",
               plain == set(wanted) if not unwanted else set(wanted) <= plain and not plain & set(unwanted), got)

    yield from case("caracola ", names)
    yield from case("caracola tra", ["transcribe"])
    yield from case("caracola model ", ["info", "convert", "random", "fetch"])
    yield from case("caracola help ", names)
    for command, flags in commands.items():
        yield from case(f"caracola {command} --", flags)
        for flag in flags:
            hyphens = "--" + flag[2:].replace("_", "-")
            if hyphens != flag:
                first = hyphens[:hyphens.index("-", 2) + 1]
                yield from case(f"caracola {command} {first}",
                                ["--" + f[2:].replace("_", "-") for f in flags
                                 if f[2:].replace("_", "-").startswith(first[2:])])
    for flag in ("--task ", "--task=", "--verbose True --task ", "note.ogg --task "):
        bare = "--task=" if not isinstance(shell, Bash) and flag.endswith("=") else ""
        yield from case(f"caracola transcribe {flag}", [bare + "transcribe", bare + "translate"])
    yield from case("caracola transcribe --condition-on-previous-text ", ["True", "False"])
    yield from case("caracola transcribe --condition_on_previous_text T", ["True"])
    yield from case("caracola transcribe --language f", ["fa", "fi", "fo", "fr"])
    yield from case("caracola transcribe --audio-ctx ", ["auto", "full"])
    yield from case("caracola transcribe --seed ", [])
    yield from case("caracola transcribe -f srt,v", ["srt,vtt"])
    yield from case("caracola transcribe --input-format g", ["g722", "gsm"])
    yield from case("caracola transcribe --model ", ["tiny.cara", "base.pt", "out"], ["note.ogg", "event.json"])
    yield from case("caracola transcribe --vocab g", ["gpt2.tiktoken"])
    yield from case("caracola transcribe --output-dir ", ["out"])
    yield from case("caracola transcribe n", ["note.ogg"])
    yield from case("caracola transcribe --json note.ogg o", ["out"])
    yield from case("caracola handle ev", ["event.json"])
    yield from case("caracola handle --media a", ["aws"])
    yield from case("caracola handle -o o", ["out"])
    yield from case("caracola setup --variant ", ["direct", "queued", "vpc", "worker"])
    yield from case("caracola setup --zip ", ["app.zip", "out"], ["note.ogg"])
    # fish does not know which operand it is.
    yield from case("caracola model random ti", ["tiny", "tiny.en"], ["note.ogg"] if isinstance(shell, Fish) else ())
    yield from case("caracola model convert ti", ["tiny.cara"])
    yield from case("caracola model convert --compute-type b", ["bfloat16"])
    yield from case("caracola bench --random large-v3-", ["large-v3-turbo"])
    yield from case("caracola completion ", ["bash", "zsh", "fish"])


def main():
    if len(sys.argv) not in (3, 5):
        sys.exit(__doc__)
    caracola, completions = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory(prefix="caracola-completion-") as scratch:
        folder = pathlib.Path(scratch)
        for name in FILES:
            (folder / name).touch()
        for name in FOLDERS:
            (folder / name).mkdir()
        if len(sys.argv) == 5:
            shell = SHELLS[sys.argv[3]](completions, folder)
            print("\n".join(sorted(shell.offers(sys.argv[4]))))
            shell.close()
            return
        count = failed = 0
        for name, kind in SHELLS.items():
            shell = kind(completions, folder)
            for what, holds, got in checks_of(shell, caracola):
                count += 1
                failed += not holds
                print(f"{'ok' if holds else 'not ok'} {count} - {name}: {what}")
                if not holds:
                    print(f"# got {' '.join(sorted(got))}")
            shell.close()
        print(f"1..{count}")
        sys.exit(1 if failed else 0)


main()

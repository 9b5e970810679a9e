#!/usr/bin/env python3
"""Every command and flag of --help is in its man page and the pages of the others; every exit code is in the
pages, docs/cli.md and the README.

Usage: check_docs.py CARACOLA SOURCE_DIR MAN_DIR        prints TAP
"""
import pathlib
import re
import subprocess
import sys

from tap import Checks


def plain(page):
    """The text of a page without roff's escapes."""
    return re.sub(r"\\f[BIR]|\\&|\\%", "", page.read_text(encoding="utf-8")).replace("\\-", "-").replace("\\e", "\\")


def section(page, name):
    found = re.search(rf"^\.SH {name}\n(.*?)(?=^\.SH |\Z)", page, re.M | re.S)
    return found.group(1) if found else ""


def statuses_of(text):
    """{status: meaning} of what --help or `caracola help` shows."""
    found = {}
    for line in text.partition("\nExit status:\n")[2].splitlines():
        start = re.match(r"  (\d+) +(.*)", line)
        if start:
            last = found[start.group(1)] = [start.group(2)]
        elif line.startswith("       "):
            last.append(line.strip())
    return {status: " ".join(parts) for status, parts in found.items()}


def check_command(checks, caracola, command, page):
    """One command that can be run."""
    text = subprocess.run([caracola, *command.split(), "--help"], capture_output=True, text=True)
    checks.add(f"{command} --help", text.returncode == 0 and not text.stderr)
    flags = re.findall(r"^  (?:-(\w), |    )(--[a-z0-9_]+)(?: (\S+))?", text.stdout, re.M)
    checks.add(f"{command} --help lists flags", bool(flags))
    options = section(page, "OPTIONS")
    for letter, flag, value in flags:
        wanted = f"-{letter}, {flag}" if letter else flag
        checks.add(f"the man page of {command} has {wanted} {value}",
                   f".TP\n{wanted}{' ' if value else ''}{value}\n" in options)
    checks.add(f"the man page of {command} has no flag more", options.count(".TP\n") == len(flags))
    statuses = statuses_of(text.stdout)
    checks.add(f"{command} --help lists exit statuses", "0" in statuses or "130" in statuses)
    checks.add(f"the man page of {command} has its exit statuses",
               {s: " ".join(m.split()) for s, m in
                re.findall(r"^\.TP\n(\d+)\n(.*?)(?=^\.TP|\Z)", section(page, "EXIT STATUS"), re.M | re.S)} == statuses)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    caracola, source, man = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    docs = (source / "docs/cli.md").read_text(encoding="utf-8")
    readme = (source / "README.md").read_text(encoding="utf-8")
    header = (source / "src/cli/cli.h").read_text(encoding="utf-8")
    pages = {page.stem: plain(page) for page in man.glob("*.1")}
    listed = subprocess.run([caracola, "help"], capture_output=True, text=True).stdout
    checks = Checks()
    names = re.findall(r"^  ([a-z]+) {2,}", listed.partition("\nExit status:\n")[0], re.M)
    checks.add("`caracola help` lists commands", len(names) > 8)
    expected = {"caracola"}
    for name in names:
        text = subprocess.run([caracola, name, "--help"], capture_output=True, text=True).stdout
        group = re.findall(rf"^(?:Usage:|      ) caracola {name} (\w+) \[FLAG\]", text, re.M)
        expected.add(f"caracola-{name}")
        for command in [f"{name} {one}" for one in group] or [name]:
            page_name = "caracola-" + command.replace(" ", "-")
            expected.add(page_name)
            page = pages.get(page_name, "")
            checks.add(f"caracola(1) names {command}", f"caracola {command}" in pages.get("caracola", ""))
            check_command(checks, caracola, command, page)
    checks.add("there is one page for each command, and no other", set(pages) == expected)
    for name, page in sorted(pages.items()):
        checks.add(f"{name}(1) has a description and points to others",
                   len(section(page, "DESCRIPTION").split()) > 5 and "(1)" in section(page, "SEE ALSO"))
    codes = re.findall(r"CARA_EXIT_\w+ = (\d+)", header)
    statuses = statuses_of(listed)
    checks.add("`caracola help` has the exit statuses of cli.h", sorted(codes) == sorted(statuses))
    for code in codes:
        checks.add(f"caracola(1) has exit status {code}", f".TP\n{code}\n" in section(pages["caracola"], "EXIT STATUS"))
        checks.add(f"docs/cli.md has exit status {code}", f"| {code} |" in docs)
        checks.add(f"README has exit status {code}", f"| {code} |" in readme)
    checks.exit()


main()

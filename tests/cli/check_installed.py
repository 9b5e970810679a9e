#!/usr/bin/env python3
"""What `make install` puts into place: the pages that messages and man pages name, whose links lead
somewhere, and no address that does not exist. Prints TAP.

Usage: check_installed.py BUILD SOURCE            installs BUILD into a folder of its own
       check_installed.py --root ROOT SOURCE      checks what is under ROOT, such as an unpacked package
"""
import gzip
import pathlib
import re
import subprocess
import sys
import tempfile

# As messages name a page; where it is once installed follows "in", at the end of a line or not.
NAMED = re.compile(r"(docs/[\w-]+\.md)(?: and (docs/[\w-]+\.md))? in[\s\\n]+(/[\w/.-]*\w)")
results = []


def check(what, errors):
    errors = list(errors)
    results.append(not errors)
    print(f"{'not ' if errors else ''}ok {len(results)} - {what}")
    for error in errors:
        print(f"# {error}")


def text_of(path):
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return data.decode("utf-8", "replace")


def named_pages(root, path):
    """The pages that a program or a man page names, each with its place below root."""
    for one, other, folder in NAMED.findall(text_of(path)):
        for page in filter(None, (one, other)):
            yield page, root / folder.lstrip("/") / page


def broken_links(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target and not (page.parent / target).exists():
            yield f"{page.name} links to {target}, which is not installed"


def check_root(root, source):
    programs = [path for path in root.rglob("bin/caracola")]
    manuals = [path for path in root.rglob("man/man*/*") if path.is_file()]
    folders = [path for path in root.rglob("share/doc/caracola")]
    check("there is a program, man pages and documentation",
          [] if len(programs) == 1 and len(manuals) > 5 and len(folders) == 1 else [f"{programs} {len(manuals)} {folders}"])
    named = [(path, page, place) for path in programs + manuals for page, place in named_pages(root, path)]
    check("pages are named where they are installed",
          [f"{path.name} names {page}, and there is no {place}" for path, page, place in named if not place.is_file()])
    check("they are named by the program and by man pages",
          [] if {path.parent.name for path, _, _ in named} >= {"bin", "man1"} else [str(named)])
    # Text in which no place follows is of the templates inside the program: the page has to exist.
    check("every other page that is named exists",
          [f"{path.name} names {page}" for path in programs + manuals
           for page in set(re.findall(r"\bdocs/[\w-]+\.md", text_of(path))) if not (folders[0] / page).is_file()])
    pages = [page for page in folders[0].rglob("*.md")]
    check("every page of the source is there",
          [page.name for page in (source / "docs").glob("*") if not (folders[0] / "docs" / page.name).is_file()])
    check("links lead somewhere", [error for page in pages for error in broken_links(page)])
    check("examples are there",
          [path.name for path in (source / "examples").glob("*.c") if not (folders[0] / "examples" / path.name).is_file()])
    done = subprocess.run([source / "scripts/check-addresses", *programs, *folders, *manuals], stdout=subprocess.PIPE, text=True)
    check("addresses exist", [] if done.returncode == 0 else done.stdout.splitlines())


def main():
    source = pathlib.Path(sys.argv[-1])
    if sys.argv[1] == "--root":
        check_root(pathlib.Path(sys.argv[2]), source)
    else:
        with tempfile.TemporaryDirectory(prefix="caracola-installed-") as folder:
            subprocess.run(["meson", "install", "-C", sys.argv[1], "--no-rebuild", "--quiet", "--destdir", folder], check=True,
                           stdout=subprocess.DEVNULL)
            root = pathlib.Path(folder)
            check_root(root, source)
            # The checks can fail.
            page = next(root.rglob("docs/aws.md"))
            page.unlink()
            programs = list(root.rglob("bin/caracola"))
            missing = [place for path in programs for _, place in named_pages(root, path) if not place.is_file()]
            check("a page that is missing is seen", [] if missing else ["it is not"])
            index = next(root.rglob("docs/index.md"))
            check("a broken link is seen", [] if list(broken_links(index)) else ["it is not"])
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


sys.exit(main())

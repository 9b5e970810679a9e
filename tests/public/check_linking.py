#!/usr/bin/env python3
"""Installs the build into an empty root, and works with what is there as another project would: by
pkg-config, in C and C++, with the shared and the static library.

Usage: check_linking.py BUILD_DIR SOURCE_DIR VERSION        prints TAP
"""
import csv
import io
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

BUILD, SOURCE, VERSION = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
sys.path.insert(0, str(SOURCE / "man"))
sys.dont_write_bytecode = True
import headers  # noqa: E402

MODEL = SOURCE / "tests/data/nano/nano.pt"
NOTES = [SOURCE / f"tests/data/nano/voices/{name}.ogg" for name in ("es-01", "en-00", "en-09", "es-02", "es-10")]
AUDIO = SOURCE / "tests/data/audio/speech.m4a"
HEADERS = "include/caracola"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def run(*command, env=None, code=0, stdin=None):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, **(env or {})}, input=stdin)
    if done.returncode != code:
        raise AssertionError(f"{' '.join(map(str, command))}: {done.returncode}, expected {code}\n{done.stdout}{done.stderr}")
    return done.stdout if code == 0 else done.stderr


def names_of(path, *flags):
    text = run("nm", "-P", "--defined-only", *flags, path)
    return {line.split()[0] for line in text.splitlines() if len(line.split()) > 2 and line.split()[1] in "TDBRVWCS"}


class Installed:
    """What `make install` put below `root`."""

    def __init__(self, scratch):
        self.scratch, self.root = scratch, scratch / "root"
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", self.root)
        found = sorted(self.root.rglob("caracola.pc"))
        assert len(found) == 1, found
        self.pc, self.lib = found[0], found[0].parents[1]
        self.include = next(self.root.rglob("caracola/caracola.h")).parent
        self.man = next(self.root.rglob("man3")).parent

    def pkg_config(self, *arguments):
        """As for any library that lies below a root of its own."""
        return run("pkg-config", *arguments, "caracola", env={
            "PKG_CONFIG_PATH": str(self.pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(self.root)}).split()

    def compile(self, source, how="shared"):
        """Returns the program."""
        compiler = ["c++", "-std=c++17"] if source.suffix == ".cc" else ["cc", "-std=c11"]
        program = self.scratch / how / source.stem
        program.parent.mkdir(exist_ok=True)
        static = ["--static"] if how == "static" else []
        libs = self.pkg_config(*static, "--libs")
        if static:  # as docs/library.md has it: the others are shared, as Debian has no static libsoxr
            libs = ["-Wl,--as-needed", "-l:libcaracola.a", *libs]
        run(*compiler, *WARNINGS, source, *self.pkg_config(*static, "--cflags"), *libs, "-pthread", "-o", program)
        needed = "libcaracola.so.0" in run("readelf", "-d", program)
        assert needed == (not static), f"{program} needs libcaracola.so.0: {needed}"
        return program

    def run(self, program, *arguments, code=0, **env):
        return run(program, *arguments, env={"LD_LIBRARY_PATH": str(self.lib), **env}, code=code)


def text_of(note):
    return " ".join(note.with_suffix(".txt").read_text(encoding="utf-8").split())


def exports(installed):
    parsed = [headers.read(path) for path in sorted(installed.include.glob("*.h"))]
    declared = {function.name for header in parsed for function in header.functions}
    exported = {name for name in names_of(installed.lib / "libcaracola.so", "-D") if not name.startswith("__")}
    assert len(declared) > 20, declared
    assert exported == declared, (exported - declared, declared - exported)


def archive_names(installed):
    """A program that links the archive must not meet our names by chance."""
    names = {name for name in names_of(installed.lib / "libcaracola.a", "-g")
             if not name.startswith(("cara_", "__", "_GLOBAL__", "DW.ref"))}
    assert not names, names


def soname(installed):
    text = run("readelf", "-d", installed.lib / "libcaracola.so")
    assert "[libcaracola.so.0]" in re.search(r"\(SONAME\).*", text).group(0), text
    assert os.readlink(installed.lib / "libcaracola.so") == "libcaracola.so.0"
    assert os.readlink(installed.lib / "libcaracola.so.0") == f"libcaracola.so.{VERSION}"
    assert "TEXTREL" not in text


def all_headers(installed):
    """Those of the source, and version.h."""
    found = {path.name for path in installed.include.iterdir()}
    assert found == {path.name.removesuffix(".in") for path in (SOURCE / HEADERS).glob("*.h*")}, found
    whole = (installed.include / "caracola.h").read_text(encoding="utf-8")
    missing = [name for name in found - {"caracola.h"} if f"<caracola/{name}>" not in whole]
    assert not missing, missing


def pc_file(installed):
    assert installed.pkg_config("--modversion") == [VERSION]
    shared, static = installed.pkg_config("--libs"), installed.pkg_config("--static", "--libs")
    assert [flag for flag in shared if flag.startswith("-l")] == ["-lcaracola"], shared
    needed = re.findall(r"\(NEEDED\).*\[lib(.*?)\.so", run("readelf", "-d", installed.lib / "libcaracola.so"))
    missing = [name for name in needed if name not in ("c", "m", "dl", "pthread") and f"-l{name}" not in static
               and not name.startswith(("ld-", "asan", "ubsan"))]
    assert len(needed) > 4 and not missing, (missing, static)


def structs_can_grow(installed):
    """A newer library must work with programs that were compiled with older headers: a struct says its size,
    or has reserved members, or is made by the library alone, one at a time and behind a pointer."""
    made_by_the_library = {"cara_dims", "cara_result"}
    found = {}
    for header in [headers.read(path) for path in sorted(installed.include.glob("*.h"))]:
        for item in header.items:
            if item.kind == "struct":
                first = headers.tidy(headers.without_comments(item.text)).partition("{")[2].strip()
                found[item.name] = first.startswith("size_t struct_size;") or re.search(r"\breserved\[\d\];", item.text)
    assert len(found) > 8, found
    wrong = {name for name, can_grow in found.items() if not can_grow} - made_by_the_library
    assert not wrong, wrong


def man_pages(installed):
    """Each function and each type has one, which names it and says what the header says."""
    parsed = [headers.read(path) for path in sorted(installed.include.glob("*.h"))]
    wanted = {item.name for header in parsed for item in header.items if item.kind not in ("macro", "type")}
    found = {path.stem for path in (installed.man / "man3").iterdir()}
    assert wanted <= found, wanted - found
    left = found - wanted - {"libcaracola"} - {f"caracola_{header.name}" for header in parsed}
    assert not left, left
    for header in parsed:
        for function in header.functions:
            text = run("man", "-M", installed.man, "3", function.name, env={"MANWIDTH": "2000", "LC_ALL": "C.UTF-8"})
            section = re.search(rf"^   {function.name}\(\)\n(.*?)(?=^   \w|^\w)", text, re.M | re.S)
            assert section, f"{function.name}\n{text}"
            words = re.sub(r"[`\s]+", "", function.doc)[:60]
            assert words in re.sub(r"\s+", "", section.group(1)), (words, section.group(1))
            synopsis = text[text.index("SYNOPSIS"):text.index("DESCRIPTION")]
            for kind, name in function.parameters:
                assert re.search(rf"{re.escape(kind.split()[0])}.*\b{name}\b", synopsis, re.S), (function.name, name)


def member_pages(installed):
    """What stands behind a member or value in its header stands under that one in the man page."""
    checked = 0
    for path in sorted(installed.include.glob("*.h")):
        page = "libcaracola" if path.stem == "caracola" else f"caracola_{path.stem}"
        text = run("man", "-M", installed.man, "3", page, env={"MANWIDTH": "2000", "LC_ALL": "C.UTF-8"})
        for line in path.read_text(encoding="utf-8").splitlines():
            found = re.fullmatch(r"    (\S[^/]*?),?\s*/\* (.*) \*/", line)
            if not found or not re.search(r";$| = -?\d+$", found.group(1)):
                continue
            code, said = found.groups()
            # Several structs may have one of this name and type.
            under = re.findall(rf"^ {{7}}{re.escape(code)}(.*?)(?=^ {{1,7}}\S)", text, re.M | re.S)
            words = re.sub(r"[`\s]+", "", said)
            assert any(words in re.sub(r"\s+", "", part) for part in under), (page, code, said, under)
            checked += 1
    assert checked > 70, checked


def example_of_the_page(installed):
    """The program in caracola.h, which is also that of libcaracola(3)."""
    text = (installed.include / "caracola.h").read_text(encoding="utf-8")
    lines = [line[6:] for line in text.splitlines() if line.startswith(" *     ")]
    page = run("man", "-M", installed.man, "3", "libcaracola", env={"MANWIDTH": "2000", "LC_ALL": "C.UTF-8"})
    assert len(lines) > 10 and all(line.strip() in page for line in lines), page
    source = installed.scratch / "page.c"
    source.write_text("#include <caracola/caracola.h>\n#include <stdio.h>\nint main(void) {\n" + "\n".join(lines) +
                      "\n}\n", encoding="utf-8")
    program = installed.compile(source)
    for name, path in (("medium.cara", MODEL), ("note.ogg", NOTES[0])):
        (installed.scratch / name).symlink_to(path)
    for path in MODEL.parent.glob("*.tiktoken"):
        (installed.scratch / path.name).symlink_to(path)
    out = run("sh", "-c", 'cd "$0" && exec "$1" 2>&1', installed.scratch, program, env={"LD_LIBRARY_PATH": str(installed.lib)})
    assert out.strip() == text_of(NOTES[0]), out


def full_disk(installed, program):
    err = run("sh", "-c", 'exec "$@" > /dev/full', "sh", program, MODEL, NOTES[0],
              env={"LD_LIBRARY_PATH": str(installed.lib)}, code=1)
    assert "No space left" in err, err


def example_file(installed, how):
    program = installed.compile(SOURCE / "examples/file.c", how)
    out = installed.run(program, MODEL, NOTES[0])
    assert re.match(r"1\n00:00:\d\d,\d{3} --> 00:00:\d\d,\d{3}\n", out), out
    assert text_of(NOTES[0]) in out.splitlines(), out
    err = installed.run(program, MODEL, "/no/such.ogg", code=1)
    assert "/no/such.ogg" in err, err
    full_disk(installed, program)


def example_segments(installed):
    program = installed.compile(SOURCE / "examples/segments.c")
    out = installed.run(program, MODEL, NOTES[0], "es")
    line = re.fullmatch(r"1\. \[(\d+\.\d\d) s to (\d+\.\d\d) s\](.*)\n", out)
    assert line and float(line.group(1)) < float(line.group(2)) and line.group(3).strip() == text_of(NOTES[0]), out
    whole = subprocess.run([program, MODEL, NOTES[0]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           env={**os.environ, "LD_LIBRARY_PATH": str(installed.lib)})
    assert "100 %" in whole.stderr and "of audio in" in whole.stderr and "stopped" not in whole.stderr, whole.stderr
    # Ctrl-C while it shows progress: the segments so far are printed, and the work ends.
    with subprocess.Popen([program, SOURCE / "models/demo.cara", SOURCE / "samples/panga-blanca.ogg"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env={**os.environ, "LD_LIBRARY_PATH": str(installed.lib)}) as child:
        assert child.stderr.read(1)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 0 and "stopped before its end" in err, (child.returncode, out, err)


def example_sessions(installed):
    """More files than sessions, and one that is none."""
    program = installed.compile(SOURCE / "examples/sessions.c")
    out = installed.run(program, MODEL, *NOTES)
    rows = list(csv.reader(io.StringIO(out, newline="")))
    assert rows[0] == ["file", "start", "end", "text"], rows
    texts = {str(note): " ".join(row[3] for row in rows[1:] if row[0] == str(note)) for note in NOTES}
    assert texts == {str(note): text_of(note) for note in NOTES}, texts
    err = installed.run(program, MODEL, NOTES[0], MODEL, code=1)
    assert f"{MODEL}: " in err and str(NOTES[0]) not in err, err
    full_disk(installed, program)


def from_cpp(installed, how):
    program = installed.compile(SOURCE / "tests/public/program.cc", how)
    assert " ".join(installed.run(program, MODEL, NOTES[0]).split()) == text_of(NOTES[0])


def module_of_shared(installed):
    """The module lies beside the library, and the library finds it there by itself."""
    program = installed.compile(SOURCE / "examples/file.c")
    out = installed.run(program, MODEL, AUDIO, CARACOLA_MODULE_DIR="")
    assert "-->" in out, out
    moved = installed.scratch / "moved"
    shutil.copytree(installed.lib, moved, symlinks=True)
    (moved / "caracola" / "caracola-libav.so").rename(moved / "elsewhere.so")
    err = run(program, MODEL, AUDIO, env={"LD_LIBRARY_PATH": str(moved), "CARACOLA_MODULE_DIR": str(moved)}, code=1)
    assert "caracola-libav.so" in err and str(moved)[:60] in err, err


def module_of_static(installed):
    """Beside the program."""
    program = installed.compile(SOURCE / "examples/file.c", "static")
    shutil.copy(installed.lib / "caracola/caracola-libav.so", program.parent)
    out = installed.run(program, MODEL, AUDIO, CARACOLA_MODULE_DIR="")
    assert "-->" in out, out


def main():
    cases = [
        ("the shared library exports what the headers declare", exports),
        ("names in the archive begin with cara_", archive_names),
        ("the shared library has its soname and links", soname),
        ("all headers are there, and in caracola.h", all_headers),
        ("pkg-config knows the version and the libraries", pc_file),
        ("structs can grow", structs_can_grow),
        ("each function has its man page", man_pages),
        ("each member has its words in the man page", member_pages),
        ("the example of caracola.h and of its man page", example_of_the_page),
        ("file.c, shared library", lambda i: example_file(i, "shared")),
        ("file.c, static library", lambda i: example_file(i, "static")),
        ("segments.c", example_segments),
        ("sessions.c", example_sessions),
        ("C++, shared library", lambda i: from_cpp(i, "shared")),
        ("C++, static library", lambda i: from_cpp(i, "static")),
        ("the shared library finds the libav module", module_of_shared),
        ("a program with the static library finds it beside itself", module_of_static),
    ]
    failed = 0
    print(f"1..{len(cases)}")
    with tempfile.TemporaryDirectory() as scratch:
        installed = Installed(pathlib.Path(scratch))
        for number, (name, check) in enumerate(cases, 1):
            try:
                check(installed)
                print(f"ok {number} - {name}")
            except (AssertionError, OSError, StopIteration, AttributeError) as error:
                failed += 1
                print(f"not ok {number} - {name}")
                print("\n".join(f"# {line}" for line in f"{type(error).__name__}: {error}".splitlines()[-40:]))
    sys.exit(1 if failed else 0)


main()

"""The Debian packages: the command, the shared library with the libav module, and what programs are
compiled with."""
import gzip
import hashlib
import os
import pathlib
import re
import tempfile
import time

import debian
from contents import HERE, LIBDIR
from tree import Tree

MAINTAINER = "The caracola authors"  # without an address: there is none
UNIT = "lib/systemd/system/caracola-worker.service"
CONFFILE = "etc/default/caracola"
SCRIPTS = ("postinst", "prerm", "postrm")
COMMAND, LIBRARY, DEVELOPMENT = NAMES = ("caracola", "libcaracola0", "libcaracola-dev")
# What each package is, below its dependencies in the file `control`.
CONTROL = {
    COMMAND: """\
Suggests: awscli, skopeo
Section: sound
Priority: optional
Description: turn WhatsApp voice notes into text on your own machine
 caracola reads audio files and writes transcripts, or reads WhatsApp events
 with voice notes and writes records. It has its own Whisper engine in C, which
 follows openai/whisper and runs on the machine itself.
 .
 The package contains the command, a systemd unit for the worker on an Amazon
 SQS queue, and a small demo model. For real voices a real model is needed:
 caracola(1) describes how to convert one of OpenAI's.
""",
    LIBRARY: """\
Section: libs
Priority: optional
Multi-Arch: same
Description: Whisper speech recognition in C, shared library
 libcaracola turns speech into text with OpenAI's Whisper models. It reads
 Ogg/Opus and WAV by itself, and other formats by a module on FFmpeg's
 libraries, which this package contains too.
""",
    DEVELOPMENT: """\
Section: libdevel
Priority: optional
Multi-Arch: same
Description: Whisper speech recognition in C, files for development
 libcaracola turns speech into text with OpenAI's Whisper models.
 .
 The package contains the headers, the static library, the manual of section 3
 and caracola.pc for pkg-config.
""",
}


def zipped(data):
    return gzip.compress(data, 9, mtime=0)


def trees(program, version, epoch):
    """{package: its files}"""
    command, library, development = Tree(), Tree(), Tree()
    share = program.root / "usr/share"
    command.add("usr/bin/caracola", program.binary, 0o755)
    program.add_data(command, "usr/share/caracola")
    command.add("usr/share/bash-completion/completions/caracola", share / "bash-completion/completions/caracola")
    command.add("usr/share/zsh/vendor-completions/_caracola", share / "zsh/site-functions/_caracola")
    command.add("usr/share/fish/vendor_completions.d/caracola.fish", share / "fish/vendor_completions.d/caracola.fish")
    command.add(UNIT, HERE / "deb/caracola-worker.service")
    command.add(CONFFILE, HERE / "deb/caracola.default")
    for path in sorted((share / "doc/caracola").rglob("*")):
        if path.is_file() and path.name != "LICENSE":  # Debian's name for it is copyright
            command.add(f"usr/share/{path.relative_to(share)}", path)

    library.add(f"usr/{LIBDIR}/{program.library.name}", program.library)
    library.link(f"usr/{LIBDIR}/{program.soname}", program.library.name)
    library.add(f"usr/{LIBDIR}/caracola/caracola-libav.so", program.module)

    development.link(f"usr/{LIBDIR}/libcaracola.so", program.soname)
    folder = program.root / "usr" / LIBDIR
    for path in (folder / "libcaracola.a", folder / "pkgconfig/caracola.pc",
                 *sorted((program.root / "usr/include/caracola").iterdir())):
        development.add(str(path.relative_to(program.root)), path)

    for path in sorted((share / "man").rglob("*.[1-9]")):
        tree = development if path.suffix == ".3" else command
        tree.add(f"usr/share/{path.relative_to(share)}.gz", zipped(path.read_bytes()))
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(epoch))
    changes = (f"caracola ({version}) stable; urgency=medium\n\n  * What changed is in CHANGELOG.md of the package "
               f"caracola.\n\n -- {MAINTAINER} <>  {date}\n")
    for name, tree in zip(NAMES, (command, library, development)):
        tree.add(f"usr/share/doc/{name}/copyright", HERE / "deb/copyright")
        tree.add(f"usr/share/doc/{name}/changelog.gz", zipped(changes.encode()))
        tree.add(f"usr/share/lintian/overrides/{name}",
                 (HERE / "deb/lintian-overrides").read_bytes().replace(b"PACKAGE", name.encode()))
    return dict(zip(NAMES, (command, library, development)))


def needs(folder, field, path):
    """The packages that have the libraries which a program or library needs."""
    text = debian.run("dpkg-shlibdeps", "-O", f"-d{field}", f"-e{path}", cwd=folder)
    return re.search(rf"^shlibs:{field}=(.*)$", text, re.M).group(1)


def dependencies(name, program, version, folder):
    """Lines of `control`. What only the libav module needs is recommended."""
    (folder / "debian").mkdir()
    (folder / "debian/control").write_text(f"Source: caracola\nMaintainer: {MAINTAINER}\n\n"
                                           "Package: caracola\nArchitecture: amd64\n")
    if name == COMMAND:  # the module is the library's
        return {"Depends": f"{LIBRARY} (= {version}), {needs(folder, 'Depends', program.binary)}, ca-certificates, tzdata"}
    if name == LIBRARY:
        return {"Depends": needs(folder, "Depends", program.library),
                "Recommends": needs(folder, "Recommends", program.module)}
    # Those of static linking: pkg-config reads their files in any case.
    text = (program.root / "usr" / LIBDIR / "pkgconfig/caracola.pc").read_text(encoding="utf-8")
    required = re.search(r"^Requires\.private: (.*)$", text, re.M).group(1).split(",")
    files = [pathlib.Path("/usr", LIBDIR, "pkgconfig", f"{module.split()[0]}.pc") for module in required]
    return {"Depends": ", ".join([f"{LIBRARY} (= {version})", *sorted(set(debian.owners(files).values()))])}


def add_control(name, control, program, version):
    """The rest of the folder DEBIAN."""
    if name == COMMAND:
        (control / "conffiles").write_text(f"/{CONFFILE}\n")
        for script in SCRIPTS:
            (control / script).write_bytes((HERE / "deb" / script).read_bytes())
    if name == LIBRARY:
        (control / "triggers").write_text("activate-noawait ldconfig\n")
        stem, _, number = program.soname.rpartition(".so.")
        (control / "shlibs").write_text(f"{stem} {number} {LIBRARY} (>= {version})\n")


def write(name, files, program, target, version, epoch):
    """Returns the names of the packages that are depended on."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        fields = dependencies(name, program, version, pathlib.Path(scratch))
        root = pathlib.Path(scratch, "root")
        sums = ""
        for path in sorted(files.files):
            place, data = root / path, files.data(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            place.chmod(files.files[path][1])
            if path != CONFFILE:
                sums += f"{hashlib.md5(data).hexdigest()}  {path}\n"
        for path, to in files.links.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).symlink_to(to)
        control = root / "DEBIAN"
        control.mkdir()
        size = sum((len(files.data(path)) + 1023) // 1024 for path in files.files) + len(files.folders()) + len(files.links)
        (control / "control").write_text(
            f"Package: {name}\nSource: caracola\nVersion: {version}\nArchitecture: amd64\nMaintainer: {MAINTAINER}\n"
            f"Installed-Size: {size}\n" + "".join(f"{field}: {value}\n" for field, value in fields.items()) + CONTROL[name])
        (control / "md5sums").write_text(sums)
        add_control(name, control, program, version)
        for path in [root, *root.rglob("*")]:
            if path.is_dir() or path.parent == control:
                path.chmod(0o755 if path.is_dir() or path.name in SCRIPTS else 0o644)
            os.utime(path, (epoch, epoch), follow_symlinks=False)
        debian.run("dpkg-deb", "--root-owner-group", "-Zxz", "-z6", "--threads-max=1", "--build", str(root), str(target),
                   env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)})
    return {re.split(r"[ (|]", entry.strip())[0] for entry in fields["Depends"].split(",")}

"""The Debian package."""
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
DESCRIPTION = """\
Description: turn WhatsApp voice notes into text on your own machine
 caracola reads audio files and writes transcripts, or reads WhatsApp events
 with voice notes and writes records. It has its own Whisper engine in C, which
 follows openai/whisper and runs on the machine itself.
 .
 The package contains the command, a systemd unit for the worker on an Amazon
 SQS queue, and a small demo model. For real voices a real model is needed:
 caracola(1) describes how to convert one of OpenAI's.
"""


def zipped(data):
    return gzip.compress(data, 9, mtime=0)


def tree(program, version, epoch):
    files = Tree()
    files.add("usr/bin/caracola", program.binary, 0o755)
    files.add(f"usr/{LIBDIR}/caracola/caracola-libav.so", program.module)
    program.add_data(files, "usr/share/caracola")
    share = program.root / "usr/share"
    for path in sorted((share / "man").rglob("*.[1-9]")):
        files.add(f"usr/share/{path.relative_to(share)}.gz", zipped(path.read_bytes()))
    files.add("usr/share/bash-completion/completions/caracola", share / "bash-completion/completions/caracola")
    files.add("usr/share/zsh/vendor-completions/_caracola", share / "zsh/site-functions/_caracola")
    files.add("usr/share/fish/vendor_completions.d/caracola.fish", share / "fish/vendor_completions.d/caracola.fish")
    files.add(UNIT, HERE / "deb/caracola-worker.service")
    files.add(CONFFILE, HERE / "deb/caracola.default")
    for path in sorted((share / "doc/caracola").rglob("*")):
        if path.is_file() and path.name != "LICENSE":  # Debian's name for it is copyright
            files.add(f"usr/share/{path.relative_to(share)}", path)
    files.add("usr/share/doc/caracola/copyright", HERE / "deb/copyright")
    files.add("usr/share/lintian/overrides/caracola", HERE / "deb/lintian-overrides")
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(epoch))
    changes = (f"caracola ({version}) stable; urgency=medium\n\n  * What changed is in CHANGELOG.md beside this file.\n\n"
               f" -- {MAINTAINER} <>  {date}\n")
    files.add("usr/share/doc/caracola/changelog.gz", zipped(changes.encode()))
    return files


def dependencies(program, folder):
    """What the program needs is depended on; what only the libav module needs is recommended."""
    (folder / "debian").mkdir()
    (folder / "debian/control").write_text(f"Source: caracola\nMaintainer: {MAINTAINER}\n\n"
                                           "Package: caracola\nArchitecture: amd64\n")
    text = debian.run("dpkg-shlibdeps", "-O", "-dDepends", f"-e{program.binary}", "-dRecommends",
                      f"-e{program.module}", cwd=folder)
    return dict(re.findall(r"^shlibs:(\w+)=(.*)$", text, re.M))


def write(files, program, target, version, epoch):
    """Returns the names of the packages that are depended on."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        depends = dependencies(program, pathlib.Path(scratch))
        depends["Depends"] += ", ca-certificates, tzdata"
        root = pathlib.Path(scratch, "root")
        sums = ""
        for path in sorted(files.files):
            place, data = root / path, files.data(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            place.chmod(files.files[path][1])
            if path != CONFFILE:
                sums += f"{hashlib.md5(data).hexdigest()}  {path}\n"
        control = root / "DEBIAN"
        control.mkdir()
        size = sum((len(files.data(path)) + 1023) // 1024 for path in files.files) + len(files.folders())
        (control / "control").write_text(
            f"Package: caracola\nVersion: {version}\nArchitecture: amd64\nMaintainer: {MAINTAINER}\n"
            f"Installed-Size: {size}\nDepends: {depends['Depends']}\nRecommends: {depends['Recommends']}\n"
            "Suggests: awscli, skopeo\n"
            f"Section: sound\nPriority: optional\n{DESCRIPTION}")
        (control / "md5sums").write_text(sums)
        (control / "conffiles").write_text(f"/{CONFFILE}\n")
        for script in ("postinst", "prerm", "postrm"):
            (control / script).write_bytes((HERE / "deb" / script).read_bytes())
        for path in [root, *root.rglob("*")]:
            if path.is_dir() or path.parent == control:
                path.chmod(0o755 if path.is_dir() or path.name in ("postinst", "prerm", "postrm") else 0o644)
            os.utime(path, (epoch, epoch))
        debian.run("dpkg-deb", "--root-owner-group", "-Zxz", "-z6", "--threads-max=1", "--build", str(root), str(target),
                   env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)})
    return {re.split(r"[ (|]", entry.strip())[0] for entry in depends["Depends"].split(",")}

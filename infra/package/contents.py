"""Builds caracola for the packages, and lists what goes into each."""
import json
import os
import pathlib
import shutil

import debian
from tree import Tree

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
LIBDIR = "lib/x86_64-linux-gnu"
OPTIONS = ["--buildtype=release", "-Dtests=disabled", "--prefix=/usr", f"--libdir={LIBDIR}",
           "-Db_pie=true", "-Dlibav=enabled",
           "-Dc_args=-D_FORTIFY_SOURCE=2", "-Dc_link_args=-Wl,-z,relro,-z,now,--as-needed"]
# libc opens it by name when a thread is cancelled.
OPENED_BY_NAME = ["libgcc_s.so.1"]


def environment(epoch):
    """Without the user's compiler flags, which would change the packages."""
    env = {name: value for name, value in os.environ.items()
           if name not in ("CFLAGS", "CPPFLAGS", "LDFLAGS", "CC_LD", "DESTDIR")}
    return {**env, "CC": "gcc", "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": str(epoch)}


def build(folder, jobs, epoch):
    """Builds and installs into folder/root, stripped; returns that root and the launcher's path."""
    env = environment(epoch)
    command = ["meson", "setup", str(folder), str(ROOT), *OPTIONS]
    if (folder / "build.ninja").exists():
        command.insert(2, "--reconfigure")
    debian.run(*command, env=env)
    targets = json.loads(debian.run("meson", "introspect", "--targets", str(folder), env=env))
    names = [str(pathlib.Path(name).relative_to(folder)) for target in targets if target["installed"]
             for name in target["filename"]]
    debian.run("ninja", "-C", str(folder), f"-j{jobs}", *names, env=env)
    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    debian.run("meson", "install", "-C", str(folder), "--no-rebuild", "--quiet", "--destdir", str(root), env=env)
    libraries = root / "usr" / LIBDIR
    for path, what in ((root / "usr/bin/caracola", "--strip-unneeded"),
                       (libraries / "caracola/caracola-libav.so", "--strip-unneeded"),
                       ((libraries / "libcaracola.so").resolve(), "--strip-unneeded"),
                       (libraries / "libcaracola.a", "--strip-debug")):
        debian.run("strip", what, "--enable-deterministic-archives", "--remove-section=.comment", "--remove-section=.note", str(path))
    launcher = folder / "bootstrap"
    debian.run("gcc", "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Os", "-Wall", "-Wextra", "-Werror", "-static", "-s",
               f'-DLOADER_NAME="{debian.LOADER}"', "-o", str(launcher), str(HERE / "launcher.c"), env=env)
    return root, launcher


class Program:
    """The installed files, and the libraries that they need with and without the libav module."""

    def __init__(self, root, launcher):
        self.root, self.launcher = root, launcher
        self.binary = root / "usr/bin/caracola"
        self.module = root / "usr" / LIBDIR / "caracola/caracola-libav.so"
        link = root / "usr" / LIBDIR / "libcaracola.so"
        self.library, self.soname = link.resolve(), os.readlink(link)
        self.data = root / "usr/share/caracola"
        self.libraries = debian.closure([self.binary], OPENED_BY_NAME)
        self.module_libraries = {name: path for name, path in
                                 debian.closure([self.binary, self.module], OPENED_BY_NAME).items()
                                 if name not in self.libraries}

    def add_data(self, tree, folder, demo=True):
        for path in sorted(self.data.rglob("*")):
            name = path.relative_to(self.data)
            if path.is_file() and (demo or str(name) != "models/demo.cara"):
                tree.add(f"{folder}/{name}", path)


def add_libraries(tree, libraries, folder, loader_folder):
    owners = debian.owners(libraries.values())
    for name, path in libraries.items():
        where, mode = (loader_folder, 0o755) if name == debian.LOADER else (folder, 0o644)
        tree.add(f"{where}/{name}", path, mode, owners[str(path)])
    return set(owners.values())


def add_terms(tree, packages, folder):
    for package in sorted(packages):
        tree.add(f"{folder}/{package}/copyright", debian.copyright_file(package), 0o644, package)
    tree.add(f"{folder}/caracola/copyright", HERE / "deb/copyright")


def add_common(tree, certificates, zones):
    tree.add(certificates, debian.certificate_bundle(), 0o644, "ca-certificates")
    for name, path in debian.zone_files().items():
        tree.add(f"{zones}/{name}", path, 0o644, "tzdata")
    return {"ca-certificates", "tzdata"}


def lambda_tree(program):
    """Two trees: without the libav module, and what the module adds. Lambda unpacks them in /var/task."""
    tree, module = Tree(), Tree()
    tree.add("bootstrap", program.launcher, 0o755)
    tree.add("bin/caracola", program.binary, 0o755)
    packages = add_libraries(tree, program.libraries, "lib", "lib")
    packages |= add_common(tree, "share/ca-certificates.crt", "share/zoneinfo")
    # Found as ../models of the running program, which is the loader in lib.
    program.add_data(tree, ".")
    tree.files = {path.removeprefix("./"): value for path, value in tree.files.items()}
    add_terms(tree, packages, "share/doc")
    module.add("lib/caracola-libav.so", program.module)
    more = add_libraries(module, program.module_libraries, "lib", "lib")
    add_terms(module, more, "share/doc")
    return tree, module


def image_trees(program, model):
    """The layers: what rarely changes, the program, the model."""
    base, ours, weights = Tree(), Tree(), Tree()
    libraries = {**program.libraries, **program.module_libraries}
    packages = add_libraries(base, libraries, LIBDIR, "lib64")
    packages |= add_common(base, "etc/ssl/certs/ca-certificates.crt", "usr/share/zoneinfo")
    base.add("etc/passwd", b"root:x:0:0:root:/:/\nnobody:x:65534:65534:nobody:/:/\n")
    base.add("etc/group", b"root:x:0:\nnogroup:x:65534:\n")
    base.add("etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n")
    base.folder("tmp", 0o1777)
    for name in ("proc", "dev", "sys", "var/task"):
        base.folder(name, 0o755)
    add_terms(base, packages, "usr/share/doc")
    ours.add("usr/bin/caracola", program.binary, 0o755)
    ours.add(f"usr/{LIBDIR}/caracola/caracola-libav.so", program.module)
    program.add_data(ours, "usr/share/caracola", demo=False)
    if model:
        weights.add(f"usr/share/caracola/models/{model.name}", model)
    else:
        weights.add("usr/share/caracola/models/demo.cara", program.data / "models/demo.cara")
    return [base, ours, weights]

"""Unpacks the packages into bare roots, as Lambda, a container runtime and dpkg would."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import zipfile

# The folders of Lambda's own C library. Our program must use nothing from them, so the files here are not libraries.
SYSTEM_FOLDERS = ("lib64", "usr/lib64", "lib", "usr/lib", "lib/x86_64-linux-gnu")


class Broken(Exception):
    """A package is wrong; the text says how."""


def run(*command, **options):
    options.setdefault("stdout", subprocess.PIPE)
    done = subprocess.run([str(part) for part in command], stderr=subprocess.PIPE, text=True,
                          errors="replace", **options)
    if done.returncode != 0:
        raise Broken(f"{' '.join(map(str, command))}: {(done.stdout or '')[-1500:]}{done.stderr[-1500:]}")
    return done.stdout


def furnish(root):
    """What every system gives to the packages that run on it."""
    for folder in ("proc", "dev", "tmp", "etc"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for device in ("null", "urandom"):
        (root / "dev" / device).touch()
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (root / "etc/resolv.conf").write_text("nameserver 127.0.0.153\noptions timeout:2 attempts:2\n")


def unpack_zip(package, root):
    task = root / "var/task"
    task.mkdir(parents=True)
    names = []
    with zipfile.ZipFile(package) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if mode & 0o170000 != 0o100000:
                raise Broken(f"{info.filename} is no plain file")
            archive.extract(info, task)
            (task / info.filename).chmod(mode & 0o777)
            names.append(info.filename)
    furnish(root)
    for folder in SYSTEM_FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for path in (task / "lib").iterdir():
            (root / folder / path.name).write_bytes(b"not the library that you want\n")
    return {name: task / name for name in names}


def unpack_image(package, root, scratch):
    """As skopeo reads it. Returns the files and the configuration of the container."""
    run("skopeo", "copy", "-q", f"oci-archive:{package}", f"dir:{scratch}")
    manifest = json.loads((scratch / "manifest.json").read_text())

    def blob(descriptor):
        return scratch / descriptor["digest"].removeprefix("sha256:")

    config = json.loads(blob(manifest["config"]).read_text())
    root.mkdir(parents=True)
    files = {}
    for layer in manifest["layers"]:
        with tarfile.open(blob(layer), "r:gz") as tar:
            for member in tar:
                if not (member.isfile() or member.isdir()) or member.uid or member.gid:
                    raise Broken(f"{member.name} is neither a plain file nor a folder of root's")
                if member.isfile():
                    files[member.name] = root / member.name
            tar.extractall(root)
    furnish(root)
    return files, config


def installed():
    """What is installed: {name: package}, where a name is the package's own or one that it provides."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}\t${Package}\t${Architecture}\t${Provides}\n"],
                          stdout=subprocess.PIPE, text=True)
    table = {}
    for line in done.stdout.splitlines():
        status, package, architecture, provides = line.split("\t")
        if status == "installed" and architecture in ("amd64", "all"):
            table[package] = package
            for provided in filter(None, re.split(r"[\s,]+", re.sub(r"\([^)]*\)", "", provides))):
                table.setdefault(provided, package)
    return table


def depends_closure(fields):
    """All packages that a package with these Depends needs, directly or not, as dpkg knows them."""
    table = installed()
    text = run("dpkg-query", "-W", "-f", "${Package}\t${Pre-Depends}, ${Depends}\n")
    wants = dict(line.split("\t", 1) for line in text.splitlines())
    found, todo = set(), [fields]
    while todo:
        for entry in filter(None, (part.strip() for part in todo.pop().split(","))):
            names = [re.split(r"[ (:]", choice.strip())[0] for choice in entry.split("|")]
            package = next((table[name] for name in names if name in table), None)
            if not package:
                raise Broken(f"the .deb depends on {entry}, which is not installed here")
            if package not in found:
                found.add(package)
                todo.append(wants.get(package, ""))
    return found


def own_packages(package):
    """The .deb, and those beside it that it depends on."""
    found = [package]
    for entry in run("dpkg-deb", "-f", package, "Depends").split(","):
        found += package.parent.glob(f"{re.split(r'[ (]', entry.strip())[0]}_*.deb")
    return found


def add_packages(root, package, field):
    """Adds what the .deb, and ours that it depends on, name in that field: libraries and the files that they read, from
    this machine."""
    own = own_packages(package)
    fields = ", ".join(run("dpkg-deb", "-f", one, field).strip() for one in own)
    names = [one.name.split("_")[0] for one in own]
    packages = depends_closure(", ".join(part for part in fields.split(",") if re.split(r"[ (]", part.strip())[0] not in names))
    for name in run("dpkg-query", "-L", *sorted(packages)).splitlines():
        wanted = re.match(r"/(usr/)?(lib|lib64)/|/usr/share/zoneinfo/|/etc/(nsswitch|gai)", name)
        source, target = pathlib.Path(name), root / name.lstrip("/")
        if not wanted or source.is_dir() or not source.exists() or target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)


def unpack_deb(package, root):
    """The .deb, with the files of the packages that it depends on. Returns its own files."""
    root.mkdir(parents=True)
    run("dpkg-deb", "-x", package, root)
    files = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file() and not path.is_symlink()}
    for other in own_packages(package)[1:]:
        run("dpkg-deb", "-x", other, root)
    # A merged /usr, as in Debian.
    for folder in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / folder).mkdir(parents=True, exist_ok=True)
        if (root / folder).is_dir():
            shutil.copytree(root / folder, root / "usr" / folder, dirs_exist_ok=True)
            shutil.rmtree(root / folder)
        (root / folder).symlink_to("usr/" + folder)
    add_packages(root, package, "Depends")
    # ca-certificates makes it when it is installed.
    certificates = root / "etc/ssl/certs/ca-certificates.crt"
    certificates.parent.mkdir(parents=True)
    shutil.copyfile("/etc/ssl/certs/ca-certificates.crt", certificates)
    furnish(root)
    return files


def copy_root(root, target):
    """A root of its own for a test that changes something: replace files there, do not write into them."""
    run("cp", "-al", root, target)
    return target


def replace(path, data):
    mode = path.stat().st_mode & 0o777
    path.unlink()
    path.write_bytes(data)
    os.chmod(path, mode)

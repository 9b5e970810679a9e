"""What Debian knows: which libraries a program needs, which package a file is from, and its
licence. Libraries are found by their headers alone, as this machine's CPU must not choose."""
import functools
import pathlib
import re
import subprocess

LIBRARY_FOLDERS = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu")
LOADER = "ld-linux-x86-64.so.2"
CERTIFICATES = pathlib.Path("/usr/share/ca-certificates/mozilla")
ZONES = pathlib.Path("/usr/share/zoneinfo")

# Debian's short names of licences that have another name in SPDX; others are kept.
SPDX = {
    "Expat": "MIT", "MIT": "MIT", "X11": "X11", "ISC": "ISC", "zlib": "Zlib", "Zlib": "Zlib",
    "curl": "curl", "BSD-2-clause": "BSD-2-Clause", "BSD-3-clause": "BSD-3-Clause",
    "BSD-2-Clause": "BSD-2-Clause", "BSD-3-Clause": "BSD-3-Clause", "Apache-2.0": "Apache-2.0",
    "MPL-2.0": "MPL-2.0", "MPL-1.1": "MPL-1.1", "Artistic": "Artistic-1.0", "BSL-1.0": "BSL-1.0",
    "CC0": "CC0-1.0", "CC0-1.0": "CC0-1.0",
    "GPL-1+": "GPL-1.0-or-later", "GPL-2": "GPL-2.0-only", "GPL-2+": "GPL-2.0-or-later",
    "GPL-3": "GPL-3.0-only", "GPL-3+": "GPL-3.0-or-later",
    "LGPL-2": "LGPL-2.0-only", "LGPL-2+": "LGPL-2.0-or-later", "LGPL-2.1": "LGPL-2.1-only",
    "LGPL-2.1+": "LGPL-2.1-or-later", "LGPL-3": "LGPL-3.0-only", "LGPL-3+": "LGPL-3.0-or-later",
}


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        raise SystemExit(f"package: {' '.join(map(str, command))}: {done.stderr.strip()[-600:]}")
    return done.stdout


def needed(paths):
    """The names of the libraries that the ELF files at `paths` ask for."""
    text = run("readelf", "-dW", *map(str, paths)) if paths else ""
    return set(re.findall(r"\(NEEDED\)\s+Shared library: \[([^\]]+)\]", text))


def find_library(name):
    for folder in LIBRARY_FOLDERS:
        path = pathlib.Path(folder, name)
        if path.is_file():
            return path
    raise SystemExit(f"package: the library {name} is in none of {', '.join(LIBRARY_FOLDERS)}")


def closure(paths, extra=()):
    """All libraries that `paths` need, directly or not: {name: path}."""
    found, todo = {}, needed(paths) | set(extra)
    while todo:
        new = {name: find_library(name) for name in sorted(todo)}
        found.update(new)
        todo = needed(new.values()) - set(found)
    return found


def owners(paths):
    """{path: Debian package}. Since /lib became a link, dpkg knows a file by one of two names."""
    names = {}
    for path in map(str, paths):
        names[path] = path
        names[path[4:] if path.startswith("/usr/") else "/usr" + path] = path
    done = subprocess.run(["dpkg-query", "-S", *names], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL)
    found = {}
    for line in done.stdout.splitlines():
        package, _, name = line.partition(": ")
        if name in names and not package.startswith("diversion"):
            found[names[name]] = package.split(",")[0].split(":")[0]
    for path in map(str, paths):
        if path not in found:
            raise SystemExit(f"package: {path} is of no Debian package, so its origin is unknown")
    return found


@functools.lru_cache(maxsize=None)
def facts(package):
    """{version, source, architecture, homepage} of an installed package."""
    form = ("${db:Status-Status}\t${Version}\t${source:Package}\t${source:Version}\t"
            "${Architecture}\t${Homepage}\n")
    for line in run("dpkg-query", "-W", "-f", form, package).splitlines():
        status, version, source, source_version, architecture, homepage = line.split("\t")
        if status == "installed" and architecture in ("amd64", "all"):
            return {"name": package, "version": version, "source": source, "homepage": homepage,
                    "source_version": source_version, "architecture": architecture}
    raise SystemExit(f"package: {package} is not installed for amd64")


@functools.lru_cache(maxsize=None)
def distribution():
    """As package URLs name it: debian-12."""
    values = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', pathlib.Path("/etc/os-release").read_text(), re.M))
    return "-".join(filter(None, (values.get("ID"), values.get("VERSION_ID"))))


def copyright_file(package):
    return pathlib.Path("/usr/share/doc", package, "copyright")


@functools.lru_cache(maxsize=None)
def licences(package):
    """The short names in the package's machine-readable copyright file, sorted; or [] if it is not machine-readable."""
    try:
        text = copyright_file(package).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    if not text.startswith("Format:"):
        return []
    names = set()
    for stanza in re.split(r"\n\s*\n", text):
        files = re.search(r"^Files:\s*(.*(?:\n[ \t].*)*)", stanza, re.M)
        licence = re.search(r"^License:[ \t]*(\S.*)$", stanza, re.M)
        if files and licence and not files.group(1).strip().startswith("debian/"):
            names.update(re.split(r",?\s+(?:and|or)\s+|,\s*", licence.group(1).strip()))
    return sorted(name for name in names if name)


def spdx_licence(package):
    """An SPDX expression, or NOASSERTION where one of the names is not SPDX's."""
    names = licences(package)
    if not names or any(name not in SPDX for name in names):
        return "NOASSERTION"
    return " AND ".join(sorted({SPDX[name] for name in names}))


def certificate_bundle():
    """Debian's own root certificates as one PEM file, without those added on this machine."""
    paths = sorted(CERTIFICATES.glob("*.crt"))
    if len(paths) < 50:
        raise SystemExit(f"package: only {len(paths)} certificates in {CERTIFICATES}; install ca-certificates")
    return b"".join(path.read_bytes().rstrip(b"\n") + b"\n" for path in paths)


def zone_files():
    """{name: path} of the time zones; without posix/, right/ and the tables."""
    zones = {}
    for path in sorted(ZONES.rglob("*")):
        name = str(path.relative_to(ZONES))
        if path.is_file() and name.split("/")[0] not in ("posix", "right", "localtime", "posixrules"):
            with path.open("rb") as file:
                if file.read(4) == b"TZif":
                    zones[name] = path
    if "America/Mazatlan" not in zones:
        raise SystemExit(f"package: no time zones in {ZONES}; install tzdata")
    return zones

#!/usr/bin/env python3
"""Starts each package in a bare root and has it handle a voice note.

Usage: tests/package/run.py [FOLDER]      the packages; build/package

Roots are made in build/package-test. The last line is `N passed, N failed`; the exit status is 1 where any
failed. It needs root, or user namespaces.
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import roots  # noqa: E402
from roots import Broken, run  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
WORK = ROOT / "build/package-test"
SAID = (ROOT / "samples/panga-blanca.txt").read_text(encoding="utf-8").strip()
EXPOSURE = "11"  # systemd's score in tenths; the rest is for the network
LAMBDA_LIMIT = 250 * 1024 * 1024
passed, failed = 0, []


def case(name, test, *arguments):
    global passed
    try:
        value = test(*arguments)
    except (Broken, OSError, KeyError, ValueError) as error:
        failed.append(name)
        print(f"FAILED {name}\n    " + f"{type(error).__name__}: {error}".replace("\n", "\n    "), flush=True)
        return None
    passed += 1
    print(f"ok {name}", flush=True)
    return True if value is None else value


def must_fail(pattern, test, *arguments, **options):
    """The test has to fail, and for this reason."""
    try:
        test(*arguments, **options)
    except Broken as error:
        if not re.search(pattern, str(error)):
            raise Broken(f"it fails, but not by {pattern}: {error}") from error
        return
    raise Broken("it passes, though it must not")


def enter(root, *command, env=None):
    return run(HERE / "enter", root, *command, env={"PATH": os.environ["PATH"], **(env or {})},
               stdin=subprocess.DEVNULL, timeout=300)


def transcribe(root, env=None):
    shutil.copyfile(ROOT / "samples/panga-blanca.ogg", root / "tmp/note.ogg")
    text = " ".join(enter(root, "/usr/bin/caracola", "transcribe", "/tmp/note.ogg", env=env).split())
    if text != SAID:
        raise Broken(f"said:        {SAID}\ntranscribed: {text}")


def transcribe_m4a(root, env=None):
    shutil.copyfile(ROOT / "tests/data/audio/speech.m4a", root / "tmp/speech.m4a")
    if not enter(root, "/usr/bin/caracola", "transcribe", "/tmp/speech.m4a", env=env).strip():
        raise Broken("nothing was transcribed")


def bare(root):
    """The root holds none of this machine: even a shell is missing."""
    must_fail(r"(No such file|cannot run|failed to run)", enter, root, "/bin/sh", "-c", "exit 0")


def bill_fits(files, bill):
    """The bill names every file, by its digest, and no other; and every reference exists."""
    document = json.loads(bill.read_text(encoding="utf-8"))
    if document["spdxVersion"] != "SPDX-2.3":
        raise Broken(f"this is {document['spdxVersion']}")
    listed = {}
    for entry in document["files"]:
        digests = {sum_["algorithm"]: sum_["checksumValue"] for sum_ in entry["checksums"]}
        listed[entry["fileName"].removeprefix("./")] = digests["SHA256"]
    found = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    wrong = sorted(name for name in listed.keys() | found.keys() if listed.get(name) != found.get(name))
    if wrong:
        raise Broken(f"{len(wrong)} files differ from the bill: {', '.join(wrong[:5])}")
    known = {"SPDXRef-DOCUMENT"} | {item["SPDXID"] for item in document["packages"] + document["files"]}
    if len(known) != 1 + len(document["packages"]) + len(document["files"]):
        raise Broken("two things have one SPDXID")
    contained = set()
    for relation in document["relationships"]:
        if not {relation["spdxElementId"], relation["relatedSpdxElement"]} <= known:
            raise Broken(f"a relationship leads nowhere: {relation}")
        if relation["relationshipType"] == "CONTAINS":
            contained.add(relation["relatedSpdxElement"])
    orphans = {item["SPDXID"] for item in document["files"]} - contained
    if orphans:
        raise Broken(f"files of no package: {sorted(orphans)[:5]}")
    unversioned = [item["name"] for item in document["packages"] if not item.get("versionInfo")]
    if unversioned:
        raise Broken(f"packages without a version: {unversioned[:5]}")


def bill_names_artifact(package, bill):
    document = json.loads(bill.read_text(encoding="utf-8"))
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    if {"algorithm": "SHA256", "checksumValue": digest} not in document["packages"][0]["checksums"]:
        raise Broken("it is the bill of other bytes")


def elf_files(files):
    return [path for path in files.values() if path.open("rb").read(4) == b"\x7fELF"]


def no_written_code(files):
    """What MemoryDenyWriteExecute forbids: executable stacks, and code that is patched when it is loaded."""
    paths = elf_files(files)
    if len(paths) < 2:
        raise Broken(f"only {len(paths)} programs and libraries")
    text = run("readelf", "-lWd", *paths)
    if re.search(r"GNU_STACK.*RWE|\(TEXTREL\)", text):
        raise Broken("a library wants memory that is writable and executable")


def within_limit(files):
    size = sum(path.stat().st_size for path in files.values())
    if size > LAMBDA_LIMIT:
        raise Broken(f"{size} bytes unpacked, and Lambda takes {LAMBDA_LIMIT}")


def start_zip(root):
    """Starts it as Lambda does, without a server: it must reach the request for an event."""
    env = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1", "CARACOLA_STORE": "/tmp", "LD_LIBRARY_PATH": "/lib64:/usr/lib64"}
    must_fail("the sandbox is lost", enter, root, "/var/task/bootstrap", env=env)


def without_module(root):
    """Keeps only the libraries that the program itself needs: the zip as it is without the module."""
    task = "/var/task"
    text = enter(root, f"{task}/lib/ld-linux-x86-64.so.2", "--inhibit-cache", "--library-path", f"{task}/lib", "--list",
                 f"{task}/bin/caracola")
    needed = set(re.findall(rf"{task}/lib/(\S+)", text)) | {"ld-linux-x86-64.so.2", "libgcc_s.so.1"}
    if len(needed) < 10:
        raise Broken(f"these alone cannot be it: {text}")
    for path in (root / "var/task/lib").iterdir():
        if path.name not in needed:
            path.unlink()


def image_config(config):
    inner = config["config"]
    if inner["Entrypoint"] != ["/usr/bin/caracola"] or inner.get("Cmd") or inner["User"] != "65534:65534":
        raise Broken(f"it would be started otherwise: {inner}")


def deb_files(files):
    for name in ("usr/bin/caracola", "usr/share/man/man1/caracola.1.gz", "usr/share/man/man1/caracola-model-convert.1.gz",
                 "usr/share/bash-completion/completions/caracola", "usr/share/zsh/vendor-completions/_caracola",
                 "usr/share/fish/vendor_completions.d/caracola.fish",
                 "lib/systemd/system/caracola-worker.service", "etc/default/caracola", "usr/share/doc/caracola/copyright",
                 "usr/share/doc/caracola/changelog.gz"):
        if name not in files:
            raise Broken(f"{name} is missing")


def documented(package):
    """The pages that the program and its man pages name, with their links and addresses."""
    root = WORK / "deb-alone"
    run("dpkg-deb", "-x", package, root)
    run(sys.executable, ROOT / "tests/cli/check_installed.py", "--root", root, ROOT)


def addresses(*texts):
    """None that does not exist, in what names the package: its control fields, labels or bill."""
    place = WORK / "addresses"
    place.write_text("\n".join(texts))
    run(ROOT / "scripts/check-addresses", place)


def bill_addresses(bill):
    """Those of Debian's packages are Debian's own."""
    document = json.loads(bill.read_text(encoding="utf-8"))
    for package in document["packages"]:
        package.pop("homepage", None)
    addresses(json.dumps(document, indent=1))


def man_page(root):
    text = run("man", "-l", root / "usr/share/man/man1/caracola.1.gz",
               env={**os.environ, "MANPAGER": "cat", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
    if "caracola worker" not in text:
        raise Broken("the man page does not describe the worker")


def lintian(package):
    user = ["--allow-root"] if os.geteuid() == 0 else []
    text = run("lintian", *user, "--fail-on", "error,warning", "--no-tag-display-limit", package)
    if text.strip():
        raise Broken(text)


def unit(root):
    """The unit of the package, with its program and the system's own units."""
    where = pathlib.Path("/lib/systemd/system")
    for path in where.iterdir():
        target = root / "usr/lib/systemd/system" / path.name
        if not target.exists() and not path.is_dir():
            shutil.copyfile(path, target)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", f"--root={root}", "caracola-worker.service"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    # It also reports on other units; those do not count.
    reports = [line for line in done.stdout.splitlines() if "caracola" in line]
    if done.returncode != 0 or reports:
        raise Broken(done.stdout)


def wrong_unit(root):
    path = root / "usr/lib/systemd/system/caracola-worker.service"
    text = path.read_text()
    for old, new in (("/usr/bin/caracola", "/usr/bin/caracol"), ("ProtectHome=yes", "ProtectHome=maybe")):
        roots.replace(path, text.replace(old, new).encode())
        must_fail("caracola-worker.service", unit, root)
    roots.replace(path, text.replace("CapabilityBoundingSet=\n", "").encode())
    must_fail("Overall exposure", sandbox, root)
    roots.replace(path, text.encode())


def sandbox(root):
    run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}",
        root / "usr/lib/systemd/system/caracola-worker.service")


def confined(root):
    """Voice notes and M4A within what the unit allows; with less than that it must fail, otherwise nothing was forbidden."""
    path = HERE.parents[1] / "infra/package/deb/caracola-worker.service"
    for test in (transcribe, transcribe_m4a):
        test(root, {"PACKAGE_UNIT": str(path)})
    less = WORK / "less.service"
    less.write_text(path.read_text().replace("~@privileged", "~openat @privileged"))
    must_fail("Operation not permitted", transcribe, root, {"PACKAGE_UNIT": str(less)})


def cloud_tests(work):
    """The packages in the test cloud; TAP lines are counted as cases."""
    global passed
    done = subprocess.run([str(ROOT / "tests/cloud/run-tests.sh"), "../package/cloud.test.mjs"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=900,
                          env={**os.environ, "PACKAGE_ROOTS": str(work), "PACKAGE_ENTER": str(HERE / "enter")})
    lines = re.findall(r"^(not ok|ok) \d+ - (.*?)( # SKIP.*)?$", done.stdout, re.M)
    bad = [name for verdict, name, _ in lines if verdict == "not ok"]
    for verdict, name, skip in lines:
        print(f"{'SKIPPED' if skip else 'ok' if verdict == 'ok' else 'FAILED'} cloud: {name}", flush=True)
    passed += len([1 for verdict, _, skip in lines if verdict == "ok" and not skip])
    failed.extend(f"cloud: {name}" for name in bad)
    if bad or not lines or done.returncode != 0:
        print("    " + done.stdout[-6000:].replace("\n", "\n    "), flush=True)
        if not bad:
            failed.append("cloud")


def lose(root, copy, library, test):
    """Without one library the same test must fail, and name it."""
    target = roots.copy_root(root, WORK / copy)
    for path in target.rglob(library):
        path.unlink()
    must_fail(re.escape(library), test, target)


def test_zip(package, bill):
    root = WORK / "zip"
    files = case("zip unpacks to plain files", roots.unpack_zip, package, root)
    if not files:
        return
    case("zip has what its bill says", bill_fits, files, bill)
    case("zip is what its bill is of", bill_names_artifact, package, bill)
    case("zip's bill names no address that does not exist", bill_addresses, bill)
    case("zip fits Lambda's limit", within_limit, files)
    case("zip starts where there is nothing else", start_zip, root)
    case("zip's root is bare", bare, root)
    case("a zip without a library does not start", lose, root, "zip-lost", "libopus.so.0", start_zip)
    case("a zip without its loader does not start", lose, root, "zip-loader", "ld-linux-x86-64.so.2", start_zip)
    small = case("zip without the libav module", roots.copy_root, root, WORK / "zip-small")
    case("zip without the module's libraries starts", lambda: (without_module(small), start_zip(small))[1])
    extra = WORK / "changed"
    extra.write_bytes(b"x")
    case("a bill that lacks a file is seen", must_fail, "1 files differ", bill_fits, {**files, "lib/x": extra}, bill)
    case("a bill with another digest is seen", must_fail, "1 files differ", bill_fits, {**files, "bootstrap": extra}, bill)


def test_image(package, bill):
    root = WORK / "image"
    case("image is read by skopeo", run, "skopeo", "inspect", f"oci-archive:{package}")
    unpacked = case("image unpacks", roots.unpack_image, package, root, WORK / "image-layers")
    if not unpacked:
        return
    files, config = unpacked
    case("image has what its bill says", bill_fits, files, bill)
    case("image is what its bill is of", bill_names_artifact, package, bill)
    case("image is started as caracola, by nobody", image_config, config)
    case("image names no address that does not exist", addresses, json.dumps(config, indent=1),
         run("skopeo", "inspect", "--raw", f"oci-archive:{package}"))
    case("image's bill names no address that does not exist", bill_addresses, bill)
    case("image transcribes the sample note", transcribe, root)
    case("image's root is bare", bare, root)
    case("an image without a library does not transcribe", lose, root, "image-lost", "libopus.so.0", transcribe)


def library_files(files):
    for name in ("libcaracola.so.0.", "caracola/caracola-libav.so"):
        if not any(path.startswith(f"usr/lib/x86_64-linux-gnu/{name}") for path in files):
            raise Broken(f"{name} is missing")


def development_files(files):
    for name in ("usr/include/caracola/caracola.h", "usr/include/caracola/version.h", "usr/share/man/man3/cara_transcribe.3.gz",
                 "usr/share/man/man3/libcaracola.3.gz", "usr/lib/x86_64-linux-gnu/libcaracola.a",
                 "usr/lib/x86_64-linux-gnu/pkgconfig/caracola.pc"):
        if name not in files:
            raise Broken(f"{name} is missing")


def linked(root):
    """A program that is compiled with the package, and runs with its library."""
    library, program = root / "usr/lib/x86_64-linux-gnu", WORK / "example"
    flags = run("pkg-config", "--cflags", "--libs", "caracola",
                env={**os.environ, "PKG_CONFIG_PATH": str(library / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(root),
                     "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1", "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1"}).split()
    run("gcc", "-std=c11", "-Wall", "-Werror", ROOT / "examples/file.c", *flags, "-o", program)
    text = run(program, ROOT / "models/demo.cara", ROOT / "samples/panga-blanca.ogg",
               env={**os.environ, "LD_LIBRARY_PATH": str(library)})
    said = " ".join(line for line in text.splitlines() if line and not re.match(r"\d+$|[\d:,]+ --> ", line))
    if said != SAID:
        raise Broken(f"said:        {SAID}\ntranscribed: {said}")


def test_library_deb(package, bill, name, has_files):
    root = WORK / name
    case(f"{name} is lintian-clean", lintian, package)
    files = case(f"{name} unpacks beside what it depends on", roots.unpack_deb, package, root)
    if not files:
        return
    case(f"{name} has what its bill says", bill_fits, files, bill)
    case(f"{name} is what its bill is of", bill_names_artifact, package, bill)
    case(f"{name} names no address that does not exist", addresses, run("dpkg-deb", "--field", package))
    case(f"{name} has its files", has_files, files)
    if has_files is development_files:
        case(f"a program is compiled with {name}", linked, root)


def test_debs(package, bill):
    name = package.name.split("_")[0]
    if name == "caracola":
        test_deb(package, bill)
    else:
        test_library_deb(package, bill, name, {"libcaracola0": library_files, "libcaracola-dev": development_files}[name])


def test_deb(package, bill):
    root = WORK / "deb"
    case("deb is lintian-clean", lintian, package)
    files = case("deb unpacks beside what it depends on", roots.unpack_deb, package, root)
    if not files:
        return
    moved = {name: root / "usr" / name if name.startswith("lib/") else path for name, path in files.items()}
    case("deb has what its bill says", bill_fits, moved, bill)
    case("deb is what its bill is of", bill_names_artifact, package, bill)
    case("deb has its man page, completion and unit", deb_files, files)
    case("deb's man page can be read", man_page, root)
    case("deb has the pages that it names", documented, package)
    case("deb names no address that does not exist", addresses, run("dpkg-deb", "--field", package))
    case("an address that does not exist is seen", must_fail, "e-mail address", addresses, "Maintainer: we <we@caracola.example>")
    case("deb's bill names no address that does not exist", bill_addresses, bill)
    case("deb transcribes the sample note", transcribe, root)
    case("deb's root is bare", bare, root)
    case("a deb without a dependency does not transcribe", lose, root, "deb-lost", "libopus.so.0", transcribe)
    case("deb without what it recommends says what M4A needs", must_fail, "install the FFmpeg libraries", transcribe_m4a, root)
    full = roots.copy_root(root, WORK / "deb-full")
    case("deb with what it recommends reads M4A", lambda: (roots.add_packages(full, package, "Recommends"),
                                                           transcribe_m4a(full))[1])
    case("deb works within what its unit allows", confined, full)
    case("deb's unit is right", unit, root)
    case("deb's unit is a sandbox", sandbox, root)
    case("a wrong or open unit is seen", wrong_unit, root)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/package").resolve()
    packages = sorted(path for path in folder.glob("*") if not path.name.endswith(".json"))
    kinds = {".zip": test_zip, ".tar": test_image, ".deb": test_debs}
    if {path.suffix for path in packages} != set(kinds):
        sys.exit(f"package-test: {folder} should hold a .zip, a .tar and .debs; run make package first")
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    os.umask(0o022)
    probe = WORK / "probe"
    roots.furnish(probe)
    (probe / "true").write_bytes((ROOT / "build/package-build/bootstrap").read_bytes())
    (probe / "true").chmod(0o755)
    try:
        enter(probe, "/true")
    except Broken as error:
        if "lib/ld-linux" not in str(error):
            sys.exit(f"package-test: no bare root can be made here, so nothing is tested; be root, or allow user "
                     f"namespaces: {error}")
    started = time.monotonic()
    for path in packages:
        kinds[path.suffix](path, path.with_name(path.name + ".spdx.json"))
    case("no library wants writable code", no_written_code,
         {str(path): path for path in (WORK / "image").rglob("*") if path.is_file()})
    cloud_tests(WORK)
    print(f"{time.monotonic() - started:.0f} s")
    for name in failed:
        print(f"FAILED {name}")
    print(f"{passed} passed, {len(failed)} failed")
    if not failed:
        shutil.rmtree(WORK)
    sys.exit(1 if failed else 0)


main()

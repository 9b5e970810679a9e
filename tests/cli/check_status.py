#!/usr/bin/env python3
"""Ends every command with each exit status that its --help documents, and compares docs/cli.md's table.

Usage: check_status.py CARACOLA SOURCE_DIR      prints TAP
"""
import hashlib
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

from tap import Checks

# What cannot be had here: (command, status): the file that has it, and a part of its text.
ELSEWHERE = {
    ("setup", 0): ("tests/cloud/setup.test.mjs", "assert.equal(done.code, 0"),
}
# A defect of ours and a lack of memory end any command in the same way: by cara_cli_exit_for().
INTERNAL = ("tests/unit/cli/test_status.c", "CARA_EXIT_INTERNAL")

ZEROS = "0" * 64


class Aws(http.server.BaseHTTPRequestHandler):
    """S3 with the objects /bucket/model and /bucket/slow, all of which bytes are 0, and a queue without events."""
    protocol_version = "HTTP/1.1"
    SIZE = 40 << 20

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in (("Content-Length", str(len(body))), *headers):
            self.send_header(name, value)
        try:
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except ConnectionError:  # the client was interrupted
            self.close_connection = True

    def do_HEAD(self):
        if "denied" in self.path:
            self.answer(403)
        elif "model" in self.path or "slow" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", str(self.SIZE))
            self.send_header("ETag", '"e"')
            self.end_headers()
        else:
            self.answer(404)

    def do_GET(self):
        if "whatsapp" in self.path and "denied" not in self.path:
            return self.answer(200, b'{"linkedAccounts": []}')
        if not ("model" in self.path or "slow" in self.path):
            return self.do_HEAD()
        if "slow" in self.path:
            time.sleep(0.5)
        first, last = re.match(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups()
        body = bytes(int(last) - int(first) + 1)
        self.answer(206, body, [("ETag", '"e"'), ("Content-Range", f"bytes {first}-{last}/{self.SIZE}")])

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if b"/gone" in body:
            return self.answer(400, json.dumps({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no"}).encode(),
                               [("x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender")])
        time.sleep(0.2)
        self.answer(200, b"{}")

    def log_message(self, *_):
        pass


def documented(caracola):
    """{command: {status}} of all --help."""
    def text(*words):
        return subprocess.run([caracola, "help", *words], capture_output=True, text=True, check=True).stdout

    found = {}
    for name in re.findall(r"^  (\w+) {2,}", text().split("Exit status")[0], re.M):
        group = re.findall(rf"^(?:Usage:|      ) caracola {name} (\w+) \[FLAG\]", text(name), re.M)
        for command in [f"{name} {one}" for one in group] or [name]:
            found[command] = {int(s) for s in re.findall(r"^  (\d+) ", text(*command.split()).partition("\nExit status:\n")[2], re.M)}
    return found


def shell(line, env, folder):
    done = subprocess.run(["bash", "-c", line], cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


def interrupted(line, env, folder):
    """SIGINT while it works: later and later, until it is neither too early, before the command minds it, nor too
    late."""
    tried = []
    for attempt in range(60):
        delay = 0.005 * attempt if attempt < 40 else 0.2 * (attempt - 38)
        process = subprocess.Popen(["bash", "-c", "exec " + line], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=120)[0]
        tried.append(process.returncode)
        if process.returncode == 130:
            return 130, output.decode("utf-8", "replace")
        if process.returncode not in (0, -signal.SIGINT):
            break
    return tried[-1], f"statuses: {tried}"


def cases(source, base):
    """{(command, status): [command lines]}; a line that begins with ! is interrupted."""
    data, audio, event = f"{source}/tests/data", f"{source}/samples/blue-panga.ogg", f"{source}/tests/data/events/01-text.json"
    nano, wrong = f"{data}/nano/nano.pt", f"{data}/events/22-bad-message-not-json.json"
    slow = "env CARACOLA_CPU=scalar caracola"
    unknown = "{} --xyzzy"
    aws = "--region us-east-1 --yes"
    found = {
        ("transcribe", 0): [f"transcribe {audio}", f"transcribe --json {audio}"],
        ("transcribe", 1): [f"transcribe {audio} nowhere.ogg", f"transcribe nowhere.ogg {audio}"],
        ("transcribe", 2): [unknown, "transcribe", f"transcribe --best_of x {audio}", f"env CARACOLA_CPU=x caracola transcribe {audio}",
                            f"transcribe --model s3://bucket/model {audio}", f"transcribe --suppress_tokens 99999999 {audio}"],
        ("transcribe", 3): ["transcribe nowhere.ogg", f"transcribe {event}", f"transcribe --max_seconds 1 {audio}", "transcribe nowhere.ogg none.ogg"],
        ("transcribe", 4): [f"transcribe --model nope {audio}", f"transcribe --model {audio} {audio}", f"transcribe --vocab nope --model {nano} {audio}",
                            f"transcribe --model {data}/golden/shapes/micro-en.pt {audio}"],
        ("transcribe", 5): [f"transcribe -o {base}/file/x {audio}", f"transcribe {audio} > /dev/full"],
        ("transcribe", 130): [f"!{slow} transcribe --threads 1 {audio}", f"!{slow} transcribe --threads 1 {audio} {audio}"],
        ("handle", 0): [f"handle --store s {event}", f"handle --store s {event}", f"handle --store s - < {event}"],
        ("handle", 1): [f"handle --store s {event} nowhere.json", f"handle --store s {data}/events/21-bad-one-of-three.json",
                        f"handle --store s {event} {wrong}", f"handle --store s --media media {data}/events/02-voice-note.json",
                        f"handle --store s {event} large.json"],
        ("handle", 2): [unknown, "handle", "handle --store s", f"handle --store s --language xx {event}", f"handle --store s --timezone xx {event}",
                        f"handle --store s3://UPPER/x {event}", f"handle --store s --media aws {event}"],
        ("handle", 4): [f"handle --store m --media media2 --model nope {data}/events/02-voice-note.json"],
        ("handle", 5): [f"handle --store {base}/file/s {event}", "handle --store s nowhere.json", f"handle --store s --media nowhere {event}",
                        f"handle --store s3://bucket/denied {event}", f"handle --store s {event} > /dev/full"],
        ("handle", 6): [f"handle --store s {wrong}", "handle --store s large.json", f"handle --store s {wrong} large.json"],
        ("handle", 130): [f"!{slow} handle --threads 1 --again --store i --media {source}/samples/media {source}/samples/event.json"],
        ("worker", 2): [unknown, "worker", "worker --queue $AWS_ENDPOINT_URL/1/q", "worker --queue $AWS_ENDPOINT_URL/1/q --store s --threads x",
                        "worker --queue $AWS_ENDPOINT_URL/1/q --store s --language xx", "worker --queue $AWS_ENDPOINT_URL/1/q --store s --timezone xx"],
        ("worker", 4): [f"worker --queue $AWS_ENDPOINT_URL/1/q --store s {flags}"
                        for flags in ("--model nope", f"--model {event}", "--vocab nope", "--model .")],
        ("worker", 5): [f"worker --queue $AWS_ENDPOINT_URL/1/q --store {base}/file/s", "worker --queue $AWS_ENDPOINT_URL/1/q --store s --media nowhere"],
        ("worker", 7): ["worker --queue $AWS_ENDPOINT_URL/1/gone --store s"],
        ("worker", 130): ["!caracola worker --queue $AWS_ENDPOINT_URL/1/q --store s"],
        ("setup", 2): [unknown, "setup", f"setup {aws} --memory 1", f"setup {aws} --stack 1x", f"setup {aws} --variant nope"],
        ("setup", 4): [f"setup {aws} --aws ./aws-ok --zip {base}/x.zip --model {event} --dry_run"],
        ("setup", 5): [f"setup {aws} --aws {base}/nope", f"setup {aws} --aws ./aws-ok --zip {base}/nope.zip --dry_run"],
        ("setup", 7): [f"setup {aws} --aws ./aws-denied", f"env AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL/denied caracola setup {aws} --aws ./aws-ok",
                       f"env AWS_ENDPOINT_URL=http://127.0.0.1:1 caracola setup {aws} --aws ./aws-ok"],
        ("setup", 130): [f"!caracola setup {aws} --aws ./aws-slow"],
        ("teardown", 0): [f"teardown {aws} --aws ./aws-ok"],
        ("teardown", 2): [unknown, "teardown", f"teardown {aws} --stack 1x"],
        ("teardown", 5): [f"teardown {aws} --aws {base}/nope"],
        ("teardown", 7): [f"teardown {aws} --aws ./aws-denied"],
        ("teardown", 130): [f"!caracola teardown {aws} --aws ./aws-slow"],
        ("model info", 0): ["model info", f"model info {nano} --check"],
        ("model info", 2): [unknown, "model info a b"],
        ("model info", 4): ["model info nope", f"model info {audio}", f"model info --vocab nope {nano}", f"model info --vocab {event} {nano}"],
        ("model info", 5): ["model info > /dev/full"],
        ("model info", 130): ["!caracola model info --check large.cara"],
        ("model convert", 0): [f"model convert {nano} out.cara"],
        ("model convert", 2): [unknown, "model convert a", f"model convert {nano} new.cara --compute_type x"],
        ("model convert", 4): ["model convert nope new.cara", f"model convert {audio} new.cara"],
        ("model convert", 5): [f"model convert {nano} out.cara", f"model convert {nano} {base}/file/x.cara"],
        ("model convert", 130): ["!caracola model convert large.cara new.cara --threads 1 --force"],
        ("model random", 0): ["model random tiny tiny.cara"],
        ("model random", 2): [unknown, "model random", "model random nope"],
        ("model random", 5): ["model random tiny tiny.cara", f"model random tiny {base}/file/x.cara"],
        ("model random", 130): ["!caracola model random large-v3 huge.cara --threads 1"],
        ("model fetch", 0): [f"model fetch s3://bucket/model fetched --sha256 {Aws.SHA256}"],
        ("model fetch", 2): [unknown, "model fetch x", "model fetch s3://bucket/model f --sha256 0", "model fetch s3://bucket/model f", f"model fetch x f --sha256 {ZEROS}"],
        ("model fetch", 4): [f"model fetch s3://bucket/model f --sha256 {ZEROS}"],
        ("model fetch", 5): [f"model fetch s3://bucket/none f --sha256 {ZEROS}", f"model fetch s3://bucket/model {base}/file/f --sha256 {ZEROS}"],
        ("model fetch", 7): [f"model fetch s3://bucket/denied f --sha256 {ZEROS}"],
        ("model fetch", 130): [f"!caracola model fetch s3://bucket/slow slow.cara --sha256 {ZEROS}"],
        ("bench", 0): ["bench --runs 1 --threads 1"],
        ("bench", 2): [unknown, "bench x", "bench --runs 0", "bench --random tiny --model x", "bench --random nope", "env CARACOLA_CPU=x caracola bench"],
        ("bench", 4): ["bench --model nope", f"bench --model {audio}"],
        ("bench", 5): [f"env TMPDIR={base}/file caracola bench --random tiny", "bench --runs 1 --threads 1 > /dev/full"],
        ("bench", 130): ["!caracola bench --threads 1"],
        ("doctor", 0): [f"doctor --model {nano}"],
        ("doctor", 1): ["doctor"],
        ("doctor", 2): [unknown, "doctor x", "doctor --threads x", "doctor --stack a --model b"],
        ("doctor", 5): ["doctor > /dev/full"],
        ("doctor", 8): ["doctor --model nope", f"doctor --model {event}"],
        ("doctor", 130): [f"!{slow} doctor --threads 1"],
        ("help", 0): ["help", "help model convert"],
        ("help", 2): ["help nope", "help model nope", "help transcribe x", "help --xyzzy"],
        ("help", 5): ["help > /dev/full"],
        ("version", 0): ["version", "--version"],
        ("version", 2): ["version x", "version --xyzzy"],
        ("version", 5): ["version > /dev/full"],
        ("completion", 0): ["completion bash"],
        ("completion", 2): ["completion", "completion tcsh", "completion --xyzzy"],
        ("completion", 5): ["completion fish > /dev/full"],
    }
    return {key: [line.format(key[0]) if line == unknown else line for line in lines] for key, lines in found.items()}


AWS_OK = """#!/bin/sh
case "$*" in
*--version*) echo "aws-cli/2.9.19 Python/3" ;;
*get-caller-identity*) echo '{"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/x"}' ;;
*describe-stacks*) echo "An error occurred (ValidationError) when calling the DescribeStacks operation: Stack with id x does not exist" >&2; exit 254 ;;
*list-linked-whatsapp-business-accounts*) echo '{"linkedAccounts": []}' ;;
*) echo '{}' ;;
esac
"""
AWS_DENIED = """#!/bin/sh
echo "An error occurred (AccessDenied) when calling: no" >&2
exit 254
"""


def table_of(docs):
    """{command: {status}} of the page's table of commands."""
    head = re.search(r"^\| command \|(.*)\|$", docs, re.M)
    if not head:
        return {}
    statuses = [int(cell) for cell in head.group(1).split("|")]
    rows = re.findall(r"^\| `([a-z ]+)` \|(.*)\|$", docs[head.end():].partition("\n\n")[0], re.M)
    return {command: {s for s, cell in zip(statuses, cells.split("|")) if cell.strip()} for command, cells in rows}


def lambda_zip(path, caracola):
    """What setup takes for a package: a program at its top, and a time zone."""
    program = zipfile.ZipInfo("bootstrap")
    program.external_attr = 0o755 << 16
    with zipfile.ZipFile(path, "w") as package, open(caracola, "rb") as elf:
        package.writestr(program, elf.read(4096))
        package.writestr("share/zoneinfo/UTC", b"TZif")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    caracola, source = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    Aws.SHA256 = hashlib.sha256(bytes(Aws.SIZE)).hexdigest()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Aws)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    checks = Checks()
    wanted = documented(str(caracola))
    docs = table_of((source / "docs/cli.md").read_text(encoding="utf-8"))
    for command, statuses in wanted.items():
        checks.add(f"docs/cli.md has the statuses of {command}", docs.get(command) == statuses, f"{docs.get(command)} {statuses}")
    checks.add("docs/cli.md has no other command", set(docs) == set(wanted), set(docs) ^ set(wanted))
    with tempfile.TemporaryDirectory(prefix="caracola-status-") as scratch:
        base = pathlib.Path(scratch)
        (base / "file").touch()
        lambda_zip(base / "x.zip", caracola)
        (base / "large.json").write_bytes(b'{"Records":[' + b" " * (9 << 20) + b"]}")
        (base / "media").mkdir()
        (base / "media2").mkdir()
        (base / "media2/1908647269898587.ogg").write_bytes(b"OggS")  # as the message says
        for name, text in (("aws-ok", AWS_OK), ("aws-denied", AWS_DENIED), ("aws-slow", "#!/bin/sh\nexec sleep 60\n")):
            (base / name).write_text(text)
            (base / name).chmod(0o755)
        env = {"PATH": f"{caracola.parent}:{os.environ['PATH']}", "HOME": scratch, "LC_ALL": "C.UTF-8", "TERM": "dumb",
               "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1",
               "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
               **{name: os.environ[name] for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS") if name in os.environ}}
        subprocess.run([str(caracola), "model", "random", "base", "large.cara", "--quiet"], cwd=base, env=env, check=True)
        runs = cases(str(source), scratch)
        everywhere = {(command, status) for command, statuses in wanted.items() for status in statuses}
        for key in sorted(everywhere):
            proof = INTERNAL if key[1] == 70 else ELSEWHERE.get(key)
            if proof:
                file, text = proof
                checks.add(f"{key[0]}: {key[1]} is in {file}", text in (source / file).read_text(encoding="utf-8"))
            checks.add(f"{key[0]}: {key[1]} is tried", proof or key in runs)
        checks.add("nothing is tried that --help does not document", set(runs) <= everywhere, set(runs) - everywhere)
        for (command, status), lines in runs.items():
            for line in lines:
                if line.startswith("!"):
                    got, output = interrupted(line[1:], env, base)
                else:
                    got, output = shell(line if line.startswith("env ") else f"caracola {line}", env, base)
                checks.add(f"{status}: {line.replace(scratch, 'BASE').replace(str(source), 'SRC')}", got == status, f"{got}\n{output}")
    checks.exit()


main()

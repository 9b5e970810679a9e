#!/usr/bin/env python3
"""Small files that claim to be huge, given to the real program: each is refused for good within
300 MB and 2 s, and Ctrl-C ends the reading of any of them, and of very long ones, within 0.5 s.

Usage: bombs.py CARACOLA SOURCE_DIR      prints TAP
"""
import json
import os
import pathlib
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib

MAX_RSS = 300e6  # bytes
MAX_SECONDS = 2.0
MAX_STOP_SECONDS = 0.5
EXIT_AUDIO = 3
EXIT_INTERRUPTED = 130
EXIT_INTERNAL = 70
LONG = "23 hours of silence.flac"


# ---- MP4 ----

def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind, *parts, flags=0, version=0):
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def table(kind, rows, *head):
    return full(kind, *(struct.pack(">I", n) for n in head), struct.pack(">I", len(rows)),
                *(struct.pack(f">{len(row)}I", *row) for row in rows))


AAC = bytes.fromhex("1408")  # AudioSpecificConfig: AAC LC, 16 kHz, mono


def esds():
    specific = b"\x05" + bytes([len(AAC)]) + AAC
    config = b"\x40\x15" + bytes(11) + specific
    config = b"\x04" + bytes([len(config)]) + config
    body = b"\x00\x01\x00" + config + b"\x06\x01\x02"
    return full(b"esds", b"\x03" + bytes([len(body)]) + body)


def mp4a():
    return box(b"mp4a", bytes(6), struct.pack(">H", 1), bytes(8), struct.pack(">HHI", 1, 16, 0),
               struct.pack(">I", 16000 << 16), esds())


def trak(number, samples, sizes, chunks, offsets, durations=None, edits=(), more=b"", big_stco=None):
    """One AAC track. `sizes` is the size of every sample or a list of them."""
    if isinstance(sizes, int):
        stsz = full(b"stsz", struct.pack(">II", sizes, samples))
    else:
        stsz = full(b"stsz", struct.pack(">II", 0, len(sizes)), struct.pack(f">{len(sizes)}I", *sizes))
    stbl = box(b"stbl",
               full(b"stsd", struct.pack(">I", 1), mp4a()),
               durations or table(b"stts", [(samples, 1024)]),
               table(b"stsc", chunks), stsz,
               big_stco or table(b"stco", [(at,) for at in offsets]), more)
    edts = box(b"edts", table(b"elst", [(*edit, 0x10000) for edit in edits])) if edits else b""
    return box(b"trak",
               full(b"tkhd", bytes(8), struct.pack(">I", number), bytes(68), flags=7), edts,
               box(b"mdia",
                   full(b"mdhd", bytes(8), struct.pack(">IIHH", 16000, samples & 0xFFFFFFFF, 0x55C4, 0)),
                   full(b"hdlr", bytes(4), b"soun", bytes(13)),
                   box(b"minf", full(b"smhd", bytes(4)), stbl)))


def m4a(*tracks, mvex=b"", mdat=bytes(64), after=b""):
    mvhd = full(b"mvhd", bytes(8), struct.pack(">II", 1000, 1000), bytes(80))
    return (box(b"ftyp", b"M4A ", bytes(4), b"isom") + box(b"mdat", mdat) +
            box(b"moov", mvhd, *tracks, mvex) + after)


FIRST = 28  # where m4a() puts the first byte of sound
FRAME = bytes.fromhex("0112100046001200") + bytes(56)  # nearly AAC


def samples_of_a_byte(n, tracks):
    return m4a(*(trak(i + 1, n, 1, [(1, n, 1)], [FIRST]) for i in range(tracks)))


def many_offsets(n):
    """n chunks at the same place, each of one frame."""
    stco = full(b"stco", struct.pack(">I", n), struct.pack(">I", FIRST) * n)
    return m4a(trak(1, n, len(FRAME), [(1, 1, 1)], [], big_stco=stco), mdat=FRAME)


def no_bytes(n):
    """n samples of no bytes at all."""
    return m4a(trak(1, n, [0] * n, [(1, n, 1)], [FIRST]), mdat=FRAME)


def shared_chunks(n, tracks):
    """The list of chunks of each track goes on to the end of the file."""
    stco = full(b"stco", struct.pack(">II", n, FIRST))
    return m4a(*(trak(i + 1, 1, 64, [(1, 1, 1)], [], big_stco=stco) for i in range(tracks)),
               after=box(b"free", bytes(4 * n)))


def many_edits(n, edits):
    return m4a(trak(1, n, 1, [(1, n, 1)], [FIRST], edits=[(n, 0)] * edits), mdat=bytes(n))


def edits_by_offsets(n):
    ctts = full(b"ctts", struct.pack(">I", n), struct.pack(">II", 1, 0) * n)
    return m4a(trak(1, n, 1, [(1, n, 1)], [FIRST], edits=[(1, n)] * n, more=ctts), mdat=bytes(n))


def edits_without_keyframes(n, edits):
    """For each edit libav looks for a keyframe through all samples."""
    return m4a(trak(1, n, 1, [(1, n, 1)], [0x7FFFFFFF], edits=[(1000, (n - 2) * 1024)] * edits,
                    more=table(b"stss", [(0xFFFFFFFF,)])))


def with_compressed_index(data):
    """QuickTime's old way; what it holds is seen by libav only."""
    at = data.index(b"moov") - 4
    (size,) = struct.unpack(">I", data[at:at + 4])
    moov = data[at:at + size]
    cmvd = box(b"cmvd", struct.pack(">I", size), zlib.compress(moov, 9))
    return data[:at] + box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), cmvd)) + data[at + size:]


def fragments(n, size, count=1):
    trex = full(b"trex", struct.pack(">IIIII", 1, 1, 1024, size, 0))
    run = full(b"trun", struct.pack(">II", n, 0), flags=1)
    traf = box(b"traf", full(b"tfhd", struct.pack(">I", 1), flags=0x20000), run)
    moof = box(b"moof", full(b"mfhd", struct.pack(">I", 1)), traf) + box(b"mdat", FRAME)
    return m4a(trak(1, 0, 0, [], [], durations=table(b"stts", [])), mvex=box(b"mvex", trex),
               after=moof * count)


def fragment_index(n):
    entry = struct.pack(">III", 1, 1, 0)
    boxes = [full(b"sidx", struct.pack(">IIII", 1, 16000, 0, (n - i) * 1000000), bytes(2),
                  struct.pack(">H", 60000), entry * 60000) for i in range(n)]
    return m4a(trak(1, 0, 0, [], [], durations=table(b"stts", [])), after=b"".join(boxes))


def chunk_rows(n):
    """QuickTime's PCM: libav makes an entry of each 1024 samples."""
    return m4a(trak(1, n, 2, [(1, n, 1)], [FIRST], durations=table(b"stts", [(n, 1)])))


# ---- FLAC ----

def crc(data, polynomial, bits):
    value = 0
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value >> (bits - 1) & 1 else 0)) & (1 << bits) - 1
    return value


def flac_frame(number):
    """65,535 samples of silence: one channel, 16 bits, the rate of the header."""
    coded = (bytes([number]) if number < 0x80 else
             bytes([0xC0 | number >> 6, 0x80 | number & 63]) if number < 0x800 else
             bytes([0xE0 | number >> 12, 0x80 | number >> 6 & 63, 0x80 | number & 63]))
    head = b"\xff\xf8\x70\x08" + coded + b"\xff\xfe"
    head += bytes([crc(head, 0x07, 8)])
    body = head + b"\x00\x00\x00"
    return body + struct.pack(">H", crc(body, 0x8005, 16))


def flac(rate, frames=1):
    info = struct.pack(">HH", 65535, 65535) + bytes(6)
    info += (rate << 44 | 15 << 36 | frames * 65535).to_bytes(8, "big") + bytes(16)
    return b"fLaC" + b"\x80\x00\x00\x22" + info + b"".join(flac_frame(i) for i in range(frames))


# ---- others ----

def matroska_of_tracks(n):
    """Empty elements of two bytes, each of which becomes a track's structure."""
    tracks = b"\xae\x80" * n
    return (bytes.fromhex("1a45dfa38b428288") + b"matroska" + bytes.fromhex("1853806701ffffffffffffff") +
            bytes.fromhex("1654ae6b") + struct.pack(">I", 0x10000000 | len(tracks)) + tracks)


def avi_of_tracks(n):
    """PCM tracks whose index has one entry of a gigabyte, which libav cuts into pieces."""
    def chunk(kind, body):
        return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    strh = chunk(b"strh", b"auds" + bytes(16) + struct.pack("<IIIIIII", 1, 8000, 0, 8000, 0, 0, 1) + bytes(8))
    strf = chunk(b"strf", struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8))
    lists = chunk(b"LIST", b"strl" + strh + strf) * n
    avih = chunk(b"avih", bytes(24) + struct.pack("<I", n) + bytes(28))
    index = b"".join(b"%02dwb" % i + struct.pack("<III", 16, 4, 0x3FFFFFF0) for i in range(n))
    body = chunk(b"LIST", b"hdrl" + avih + lists) + chunk(b"LIST", b"movi" + bytes(64)) + \
        chunk(b"idx1", index)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"AVI " + body


def bombs(shared):
    """Name: the bytes, and what the refusal says."""
    stts = (shared / "cases/audio/stts-7fffffff.m4a").read_bytes()
    return {
        "80,000,000 samples of a byte.m4a": (samples_of_a_byte(80_000_000, 1), "10000000 samples"),
        "the same with two tracks.m4a": (samples_of_a_byte(80_000_000, 2), "10000000 samples"),
        "5,000,000 samples of a byte.m4a": (samples_of_a_byte(5_000_000, 1), "no sound"),
        "two tracks of 4,999,999.m4a": (samples_of_a_byte(4_999_999, 2), "MiB of memory"),
        "5,000,000 over one frame.m4a": (many_offsets(5_000_000), "again and again"),
        "5,000,000 over no bytes.m4a": (no_bytes(5_000_000), "cannot be decoded"),
        "tracks that share 4,000,000 chunks.m4a": (shared_chunks(4_000_000, 200), "10000000 chunks"),
        "edits that repeat all.m4a": (many_edits(1_000_000, 1000), "edit list"),
        "edits times offsets.m4a": (edits_by_offsets(200_000), "edit list"),
        "edits without keyframes.m4a": (edits_without_keyframes(2_000_000, 20_000), "edit list"),
        "a compressed index.m4a": (with_compressed_index(edits_by_offsets(200_000)), "compressed"),
        "a fragment of 5,000,000.m4a": (fragments(5_000_000, len(FRAME)), "than the file can hold"),
        "fragments of no bytes.m4a": (fragments(4_000_000, 0, 2), "MiB of memory"),
        "fragments of 200,000,000.m4a": (fragments(200_000_000, 1), "10000000 samples"),
        "fragments backwards.m4a": (fragment_index(20), "100000 fragments"),
        "PCM of 4,000,000,000 samples.m4a": (chunk_rows(4_000_000_000), "no sound"),
        "durations without end.m4a": (stts, "2147483647 durations"),
        "3 a second.flac": (flac(3), "3 samples a second"),
        "8 a second.flac": (flac(8), "8 samples a second"),
        "999 a second.flac": (flac(999), "999 samples a second"),
        "2,000,000 tracks.mkv": (matroska_of_tracks(2_000_000), "MiB of memory"),
        "60 tracks of a gigabyte.avi": (avi_of_tracks(60), ""),
    }


# ---- running ----

def run(command, stop_after=None):
    """(exit status, peak bytes, seconds, stderr); SIGINT after so many seconds, and then the seconds
    from there."""
    with tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err)
        if stop_after is not None:
            time.sleep(stop_after)
            start = time.monotonic()
            os.kill(child.pid, signal.SIGINT)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        return child.returncode, usage.ru_maxrss * 1024, seconds, err.read().decode(errors="replace").strip()


def check(number, name, problems, note):
    print(f"{'not ok' if problems else 'ok'} {number} - {name}")
    print(f"# {note}")
    for problem in problems:
        print(f"# {problem}", flush=True)
    return bool(problems)


def refused(command, path, says):
    """Of three tries the best counts: other programs run here, too."""
    for _ in range(3):
        status, rss, seconds, err = run([*command, str(path)])
        problems = []
        if status != EXIT_AUDIO:
            problems.append(f"exit status {status}, {EXIT_AUDIO} was expected")
        if says not in err:
            problems.append(f"does not say \"{says}\"")
        if rss > MAX_RSS:
            problems.append(f"{rss / 1e6:.0f} MB")
        if seconds > MAX_SECONDS:
            problems.append(f"{seconds:.2f} s")
        if not problems:
            break
    return problems, f"{rss / 1e6:.0f} MB, {seconds:.2f} s: {err[-160:]}"


def stopped(command, path, after):
    for _ in range(3):
        status, _, seconds, err = run([*command, str(path)], after)
        problems = []
        if status not in (EXIT_INTERRUPTED, -signal.SIGINT) and (status != EXIT_AUDIO or "stopped" in err):
            problems.append(f"exit status {status}")
        if seconds > MAX_STOP_SECONDS:
            problems.append(f"went on for {seconds:.2f} s")
        if not problems:
            break
    return problems, f"{status} after {seconds:.2f} s: {err[-120:]}"


def event(media):
    audio = {"id": media, "mime_type": "audio/mp4"}
    message = {"id": "wamid.1", "from": "16505551234", "timestamp": "1760490612", "type": "audio",
               "audio": audio}
    return json.dumps({"changes": [{"value": {"messages": [message]}}]})


def recorded(caracola, model, folder, path, error):
    """`handle` ends with the failure in the record, which another delivery does not change."""
    media = folder / "media"
    media.mkdir(exist_ok=True)
    (media / "77.m4a").unlink(missing_ok=True)
    (media / "77.m4a").symlink_to(path)
    (folder / "event.json").write_text(event("77"))
    store = folder / f"store of {path.name}"
    command = [caracola, "handle", "--model", model, "--store", store, "--media", media,
               folder / "event.json"]
    problems = []
    first, rss, seconds, err = run(command)
    records = list(store.glob("*/*.json"))
    if len(records) != 1 or f'"error": "{error}"' not in records[0].read_text():
        problems.append(f"no record with {error}")
    again, _, _, _ = run(command)
    if first != 1 or again != 0:
        problems.append(f"exit status {first}, then {again}; 1, then 0 was expected")
    if rss > MAX_RSS:
        problems.append(f"{rss / 1e6:.0f} MB")
    return problems, f"{rss / 1e6:.0f} MB, {seconds:.2f} s: {err[-160:]}"


def memory_limit(command, path):
    """The least address space, to 16 MiB, with which `path` is transcribed."""
    low, high = 0, 1 << 31
    while high - low > 16 << 20:
        middle = (low + high) // 2
        status = subprocess.run([*command, str(path)], preexec_fn=lambda: limit_memory(middle),
                                capture_output=True, check=False).returncode
        low, high = (low, middle) if status == 0 else (middle, high)
    return high


def limit_memory(size):
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def no_memory(command, good, path):
    """A machine with too little memory is no defect of the file: 70, and the store's "retry"."""
    limit = memory_limit(command, good)
    done = subprocess.run([*command, str(path)], preexec_fn=lambda: limit_memory(limit + (24 << 20)),
                          capture_output=True, text=True, check=False)
    problems = []
    if done.returncode != EXIT_INTERNAL or "no memory" not in done.stderr:
        problems.append(f"exit status {done.returncode}, {EXIT_INTERNAL} was expected")
    return problems, f"{limit >> 20} MiB: {done.stderr[-160:].strip()}"


def make(folder, shared):
    """Writes all files, and prints what is said of them. In a process of its own: the peak of a process that
    is started counts that of the one that starts it."""
    said = {}
    for name, (data, says) in bombs(shared).items():
        (folder / name).write_bytes(data)
        said[name] = says
    (folder / LONG).write_bytes(flac(8000, 10100))
    print(json.dumps(said))


def main():
    if sys.argv[1] == "--make":
        return make(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
    caracola, source = sys.argv[1], pathlib.Path(sys.argv[2])
    shared = os.environ.get("CARACOLA_SHARED") or str(source.parent / "shared")
    command = [caracola, "transcribe", "--model", str(source / "models/demo.cara")]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run([sys.executable, __file__, "--make", folder, shared], check=True,
                              stdout=subprocess.PIPE, text=True)
        names = json.loads(made.stdout)
        folder = pathlib.Path(folder)
        print(f"1..{2 * len(names) + 5}")
        for number, (name, says) in enumerate(names.items()):
            path = folder / name
            failed += check(2 * number + 1, f"{name} is refused", *refused(command, path, says))
            failed += check(2 * number + 2, f"{name} is stopped", *stopped(command, path, 0.15))
        number = 2 * len(names) + 1
        failed += check(number, f"{LONG} is stopped", *stopped(command, folder / LONG, 1.0))
        for name, error in (("5,000,000 over one frame.m4a", "audio_corrupt"),
                            ("two tracks of 4,999,999.m4a", "audio_limit")):
            number += 1
            failed += check(number, f"{name} is recorded as {error}, for good",
                            *recorded(caracola, command[3], folder, folder / name, error))
        number += 1
        (folder / "media/77.m4a").unlink()
        (folder / "media/77.m4a").symlink_to(folder / LONG)
        handle = [caracola, "handle", "--model", command[3], "--store", folder / "stopped", "--media",
                  folder / "media"]
        failed += check(number, f"handle of {LONG} is stopped",
                        *stopped(handle, folder / "event.json", 1.0))
        failed += check(number + 1, "a lack of memory is called so",
                        *no_memory(command, source / "tests/data/audio/speech.m4a",
                                   folder / "5,000,000 samples of a byte.m4a"))
    return 1 if failed else 0


sys.exit(main())

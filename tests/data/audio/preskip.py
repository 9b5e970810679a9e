"""Writes an Ogg/Opus file with another pre-skip; as WhatsApp's app does, if asked: serial 0, its name in
the tags, and no page marked as the last.

Usage: preskip.py IN SAMPLES whatsapp|other OUT
"""
import struct
import sys


def checksum(page):
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc


def main():
    data = open(sys.argv[1], "rb").read()
    pre_skip, whatsapp, out, at = int(sys.argv[2]), sys.argv[3] == "whatsapp", b"", 0
    while at < len(data):
        lacing = data[at + 27:at + 27 + data[at + 26]]
        body_at = at + 27 + len(lacing)
        head, body = bytearray(data[at:at + 27]), bytearray(data[body_at:body_at + sum(lacing)])
        at = body_at + sum(lacing)
        if body[:8] == b"OpusHead":
            body[10:12] = struct.pack("<H", pre_skip)
        if whatsapp:
            head[5] &= ~4
            head[14:18] = bytes(4)
            if body[:8] == b"OpusTags":
                body = bytearray(b"OpusTags" + struct.pack("<I", 8) + b"WhatsApp" + struct.pack("<I", 0))
                lacing = bytes([len(body)])
                head[26] = 1
        head[22:26] = bytes(4)
        page = head + lacing + body
        page[22:26] = struct.pack("<I", checksum(page))
        out += page
    open(sys.argv[4], "wb").write(out)


main()

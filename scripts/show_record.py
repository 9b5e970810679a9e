#!/usr/bin/env python3
"""Shows a record, and fails where its transcript is not the known text.

Usage: show_record.py RECORD.json TEXT_FILE
"""
import json
import re
import sys


def shown(record):
    """The record as JSON, with each list of token ids on one line."""
    text = json.dumps(record, ensure_ascii=False, indent=2)
    return re.sub(r"\[\s+([\d,\s]+?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        record = json.load(file)
    with open(sys.argv[2], encoding="utf-8") as file:
        known = file.read().strip()
    text = record.get("transcription", {}).get("text", "").strip()
    if not record.get("transcription", {}).get("ok") or text != known:
        print(shown(record))
        print(f"demo: the transcript is not the known text\n  known {known}\n  is    {text}",
              file=sys.stderr)
        sys.exit(1)
    print(shown(record))


main()

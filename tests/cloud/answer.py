#!/usr/bin/env python3
"""Runs a program on a terminal of its own and answers what it asks.

Usage: answer.py ANSWERS COMMAND...     ANSWERS: JSON, [[regular expression, what to type], ...]

Each answer is typed once its expression appears after the one before. What the program shows goes to
standard output; the exit status is the program's, or 99 where an answer was not asked for.
"""
import json
import os
import pty
import re
import signal
import sys


def main():
    answers = json.loads(sys.argv[1])
    signal.alarm(250)
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(sys.argv[2], sys.argv[2:])
    seen, at = "", 0
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece.decode("utf-8", "replace")
        sys.stdout.write(piece.decode("utf-8", "replace"))
        sys.stdout.flush()
        while answers and (found := re.search(answers[0][0], seen[at:])):
            at += found.end()
            os.write(terminal, answers.pop(0)[1].encode())
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if answers:
        print(f"\nanswer.py: never asked: {answers}")
    sys.exit(99 if answers else status if status >= 0 else 128 - status)


main()

"""The results of a test program of several checks, as TAP."""
import sys


class Checks:
    def __init__(self):
        self.count = self.failed = 0

    def add(self, name, holds, seen=""):
        """Prints the check; of one that fails also the last lines of `seen`."""
        self.count += 1
        self.failed += not holds
        print(f"{'ok' if holds else 'not ok'} {self.count} - {name}", flush=True)
        if not holds:
            shown = seen if isinstance(seen, str) else repr(seen)
            print("\n".join(f"# {line}" for line in shown.splitlines()[-12:]))

    def exit(self):
        """Prints the plan and ends the program: with 1 where a check failed."""
        print(f"1..{self.count}")
        sys.exit(1 if self.failed else 0)

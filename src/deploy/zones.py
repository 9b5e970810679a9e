#!/usr/bin/env python3
"""Lists the time zones that packages built here have, one a line. Usage: zones.py OUT"""
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "infra/package"))
import debian  # noqa: E402

pathlib.Path(sys.argv[1]).write_text("".join(f"{name}\n" for name in debian.zone_files()))

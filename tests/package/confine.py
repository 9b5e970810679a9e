#!/usr/bin/env python3
"""Runs a command as nobody in another root, within what a systemd unit allows: its system calls, its address
families, and no memory that is writable and executable.

Usage: confine.py UNIT ROOT COMMAND [ARGUMENT...]

There is no systemd to ask in a test, so the filter is made here, from the same lines of the unit and from
systemd's own lists.
"""
import ctypes
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys

LD, JEQ, RET = 0x20, 0x15, 0x06  # of classic BPF: load a word, jump if equal, return
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
EPERM, EAFNOSUPPORT = 1, 97
ARCH_X86_64 = 0xC000003E
AT_NUMBER, AT_ARCH, AT_FIRST_ARGUMENT = 0, 4, 16  # in struct seccomp_data
SET_NO_NEW_PRIVS, SET_SECCOMP, SET_MDWE, FILTER = 38, 22, 65, 2


def settings(unit, name):
    return re.findall(rf"^{name}=(.*)$", pathlib.Path(unit).read_text(), re.M)


def expand(words):
    names = set()
    for word in words:
        if not word.startswith("@"):
            names.add(word)
            continue
        text = subprocess.run(["systemd-analyze", "syscall-filter", word], check=True, stdout=subprocess.PIPE, text=True).stdout
        lines = [line.strip() for line in text.splitlines()[1:]]
        names |= expand(line for line in lines if line and not line.startswith("#"))
    return names


def allowed_calls(unit):
    allowed = expand(["@default"])
    for line in settings(unit, "SystemCallFilter"):
        names = expand(line.lstrip("~").split())
        allowed = allowed - names if line.startswith("~") else allowed | names
    header = pathlib.Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h").read_text()
    numbers = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header)}
    return sorted(numbers[name] for name in allowed if name in numbers), numbers["socket"]


def program(unit):
    calls, socket_call = allowed_calls(unit)
    families = [getattr(socket, name) for line in settings(unit, "RestrictAddressFamilies") for name in line.split()]
    of_socket = [(LD, 0, 0, AT_FIRST_ARGUMENT)]
    for family in families:
        of_socket += [(JEQ, 0, 1, family), (RET, 0, 0, ALLOW)]
    of_socket.append((RET, 0, 0, ERRNO | EAFNOSUPPORT))
    code = [(LD, 0, 0, AT_ARCH), (JEQ, 1, 0, ARCH_X86_64), (RET, 0, 0, KILL), (LD, 0, 0, AT_NUMBER)]
    if families:
        code += [(JEQ, 0, len(of_socket), socket_call), *of_socket]
    for call in calls:
        code += [(JEQ, 0, 1, call), (RET, 0, 0, ALLOW)]
    return [*code, (RET, 0, 0, ERRNO | EPERM)]


def main():
    unit, root, *command = sys.argv[1:]
    code = program(unit)
    packed = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in code))
    header = struct.pack("@HxxxxxxP", len(code), ctypes.addressof(packed))
    steps = [(SET_NO_NEW_PRIVS, 1), (SET_SECCOMP, FILTER, header)]
    if settings(unit, "MemoryDenyWriteExecute") == ["yes"]:
        steps.insert(1, (SET_MDWE, 1))
    libc = ctypes.CDLL(None, use_errno=True)
    os.chroot(root)
    os.chdir("/")
    if os.getuid() == 0 and pathlib.Path("/proc/self/uid_map").read_text().split()[1] == "0":
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    for what, *arguments in steps:
        if libc.prctl(what, *arguments, *[0] * (4 - len(arguments))) != 0:
            sys.exit(f"confine: prctl({what}): {os.strerror(ctypes.get_errno())}")
    os.execve(command[0], command, os.environ)


main()

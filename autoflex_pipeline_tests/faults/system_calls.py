"""What a process asks of the disk, call by call: each can be let through, failed, or be the last thing that it does.

The process installs a filter of the Linux kernel (seccomp) that stops it before each call that changes a file, also
those that DuckDB and SQLite make themselves; whoever holds the filter's listener judges each one. The layouts are those
of ``seccomp_unotify(2)`` and of the kernel's ``linux/seccomp.h`` and ``linux/filter.h``.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import struct
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread

_CALLS: dict[str, tuple[int | None, int, str, int]] = {
    # name: number on x86_64 (None: not there), number on aarch64, what tells the file, in which argument
    "write": (1, 64, "descriptor", 0), "pwrite64": (18, 68, "descriptor", 0), "writev": (20, 66, "descriptor", 0),
    "pwritev": (296, 70, "descriptor", 0), "fsync": (74, 82, "descriptor", 0), "fdatasync": (75, 83, "descriptor", 0),
    "ftruncate": (77, 46, "descriptor", 0), "fallocate": (285, 47, "descriptor", 0),
    "fchmod": (91, 52, "descriptor", 0), "fchmodat": (268, 53, "path", 1), "openat": (257, 56, "path", 1),
    "renameat": (264, 38, "path", 3), "renameat2": (316, 276, "path", 3), "linkat": (265, 37, "path", 3),
    "unlinkat": (263, 35, "path", 1), "symlinkat": (266, 36, "path", 2), "mkdirat": (258, 34, "path", 1),
}  # fmt: skip
_OLD_CALLS = {  # of x86_64 only
    "rename": (82, "path", 1), "link": (86, "path", 1), "unlink": (87, "path", 0), "symlink": (88, "path", 1),
    "mkdir": (83, "path", 0), "chmod": (90, "path", 0),
}  # fmt: skip
_SECCOMP = {"x86_64": 317, "aarch64": 277}
MACHINE = platform.machine()
CALLS: dict[int, tuple[str, str, int]] = {}
if MACHINE == "x86_64":
    CALLS = {number: (name, how, place) for name, (number, _, how, place) in _CALLS.items() if number is not None}
    CALLS |= {number: (name, how, place) for name, (number, how, place) in _OLD_CALLS.items()}
elif MACHINE == "aarch64":
    CALLS = {number: (name, how, place) for name, (_, number, how, place) in _CALLS.items()}
"""By number, the calls that are watched: name, whether a descriptor or a path tells the file, in which argument."""

KILL = -1
"""A judgement: the process dies before the call is made. 0 lets the call through, an errno fails it."""

_ALLOW, _ASK = 0x7FFF0000, 0x7FC00000
_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101
_QUESTION, _ANSWER_FORMAT = "QIIiIQ6Q", "QqiI"


@dataclass(frozen=True, slots=True)
class Call:
    """One call that changes a file."""

    name: str
    path: str


def can_watch() -> str | None:
    """Why calls cannot be watched on this machine; None when they can."""
    if platform.system() != "Linux" or not CALLS:
        return f"system calls can be watched on Linux on x86_64 and aarch64 only, this is {platform.system()} {MACHINE}"
    try:
        with open("/proc/sys/kernel/seccomp/actions_avail", encoding="ascii") as stream:
            return None if "user_notif" in stream.read() else "this kernel cannot hand system calls to another process"
    except OSError as error:
        return f"this kernel has no seccomp ({error.strerror})"


def install() -> int:
    """Stop this process (and its threads to come) before each watched call; gives the listener's descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) != 0:  # PR_SET_NO_NEW_PRIVS
        raise OSError(ctypes.get_errno(), "prctl")
    program = _program()
    memory = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]

    packed = Program(len(program) // 8, ctypes.addressof(memory))
    listener = libc.syscall(_SECCOMP[MACHINE], 1, 8, ctypes.byref(packed))  # a filter with a new listener
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return int(listener)


def _program() -> bytes:
    """Ask for the watched calls, for ``openat`` only when it may make a file; allow all others."""
    opening = next(number for number, call in CALLS.items() if call[0] == "openat")
    others = [number for number in CALLS if number != opening]
    load, equal, any_bit, give = 0x20, 0x15, 0x45, 0x06
    lines = [(load, 0, 0, 0)]
    lines += [(equal, len(others) - place + 3, 0, number) for place, number in enumerate(others)]
    lines += [(equal, 0, 2, opening), (load, 0, 0, 16 + 8 * 2), (any_bit, 1, 0, os.O_CREAT)]
    lines += [(give, 0, 0, _ALLOW), (give, 0, 0, _ASK)]
    return b"".join(struct.pack("HBBI", *line) for line in lines)


class Judge(Thread):
    """Answers for each call of the process on a file below ``folder`` as ``decide`` says; closes ``listener``."""

    def __init__(self, listener: int, pid: int, folder: str, decide: Callable[[Call], int]) -> None:
        super().__init__(name="system calls", daemon=True)
        self._listener, self._pid = listener, pid
        self._folder, self._decide = folder.rstrip("/") + "/", decide

    def run(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        try:
            while not any(happened & select.POLLHUP for _, happened in poll.poll()):
                self._answer_one()
        finally:
            os.close(self._listener)

    def _answer_one(self) -> None:
        question = bytearray(struct.calcsize(_QUESTION))
        try:
            fcntl.ioctl(self._listener, _RECEIVE, question)
            number, thread, _, call, _, _, *arguments = struct.unpack(_QUESTION, question)
            verdict = self._judged(thread, call, arguments)
            if verdict == KILL:
                os.kill(self._pid, signal.SIGKILL)
                return
            let_through = 0 if verdict else 1
            fcntl.ioctl(self._listener, _ANSWER, struct.pack(_ANSWER_FORMAT, number, 0, -verdict, let_through))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EINTR):  # it died meanwhile
                raise

    def _judged(self, thread: int, call: int, arguments: list[int]) -> int:
        name, how, place = CALLS[call]
        try:
            if how == "descriptor":
                path = os.readlink(f"/proc/{thread}/fd/{arguments[place]}")
            else:
                path = _text_at(thread, arguments[place])
        except OSError:
            return 0
        return self._decide(Call(name, path)) if path.startswith(self._folder) else 0


def _text_at(thread: int, address: int) -> str:
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(4096).partition(b"\0")[0].decode("utf-8", "replace")

"""Which system calls a sandbox's worker may make: a list of what is allowed, put into the kernel as a filter that only its end ends.

What is not on the list fails with EPERM: starting programs and processes, sockets, mounts, tracing, keys, kernel modules, shared memory.
Threads are allowed. Known for x86_64 and aarch64 Linux.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

# name=number on x86_64, and behind the slash on aarch64, which leaves out what has a newer form.
_ALLOWED = (
    "access=21 alarm=37 arch_prctl=158 brk=12/214 capget=125/90 chdir=80/49 chmod=90 clock_getres=229/114 clock_gettime=228/113 "
    "clock_nanosleep=230/115 close=3/57 close_range=436/436 copy_file_range=326/285 creat=85 dup=32/23 dup2=33 dup3=292/24 "
    "epoll_create=213 epoll_create1=291/20 epoll_ctl=233/21 epoll_pwait=281/22 epoll_pwait2=441/441 epoll_wait=232 eventfd=284 "
    "eventfd2=290/19 exit=60/93 exit_group=231/94 faccessat=269/48 faccessat2=439/439 fadvise64=221/223 fallocate=285/47 fchdir=81/50 "
    "fchmod=91/52 fchmodat=268/53 fcntl=72/25 fdatasync=75/83 fgetxattr=193/10 flistxattr=196/13 flock=73/32 fstat=5/80 "
    "fstatfs=138/44 fsync=74/82 ftruncate=77/46 futex=202/98 futimesat=261 get_robust_list=274/100 getcpu=309/168 getcwd=79/17 "
    "getdents=78 getdents64=217/61 getegid=108/177 geteuid=107/175 getgid=104/176 getgroups=115/158 getitimer=36/102 "
    "getpeername=52/205 getpgid=121/155 getpgrp=111 getpid=39/172 getppid=110/173 getpriority=140/141 getrandom=318/278 "
    "getresgid=120/150 getresuid=118/148 getrlimit=97/163 getrusage=98/165 getsid=124/156 getsockname=51/204 getsockopt=55/209 "
    "gettid=186/178 gettimeofday=96/169 getuid=102/174 getxattr=191/8 ioctl=16/29 kill=62/129 lgetxattr=192/9 link=86 linkat=265/37 "
    "listxattr=194/11 llistxattr=195/12 lseek=8/62 lstat=6 madvise=28/233 membarrier=324/283 mincore=27/232 mkdir=83 mkdirat=258/34 "
    "mlock=149/228 mmap=9/222 mprotect=10/226 mremap=25/216 msync=26/227 munlock=150/229 munmap=11/215 nanosleep=35/101 "
    "newfstatat=262/79 open=2 openat=257/56 openat2=437/437 pipe=22 pipe2=293/59 poll=7 ppoll=271/73 pread64=17/67 preadv=295/69 "
    "preadv2=327/286 prlimit64=302/261 pselect6=270/72 pwrite64=18/68 pwritev=296/70 pwritev2=328/287 read=0/63 readahead=187/213 "
    "readlink=89 readlinkat=267/78 readv=19/65 recvfrom=45/207 recvmsg=47/212 rename=82 renameat=264/38 renameat2=316/276 "
    "restart_syscall=219/128 rmdir=84 rseq=334/293 rt_sigaction=13/134 rt_sigpending=127/136 rt_sigprocmask=14/135 "
    "rt_sigqueueinfo=129/138 rt_sigreturn=15/139 rt_sigsuspend=130/133 rt_sigtimedwait=128/137 sched_get_priority_max=146/125 "
    "sched_get_priority_min=147/126 sched_getaffinity=204/123 sched_getparam=143/121 sched_getscheduler=145/120 "
    "sched_rr_get_interval=148/127 sched_yield=24/124 select=23 sendfile=40/71 sendmsg=46/211 sendto=44/206 set_robust_list=273/99 "
    "set_tid_address=218/96 setitimer=38/103 shutdown=48/210 sigaltstack=131/132 socketpair=53/199 stat=4 "
    "statfs=137/43 statx=332/291 symlink=88 symlinkat=266/36 sync_file_range=277/84 sysinfo=99/179 tgkill=234/131 time=201 "
    "timerfd_create=283/85 timerfd_gettime=287/87 timerfd_settime=286/86 times=100/153 tkill=200/130 truncate=76/45 umask=95/166 "
    "uname=63/160 unlink=87 unlinkat=263/35 utime=132 utimensat=280/88 utimes=235 wait4=61/260 waitid=247/95 write=1/64 writev=20/66 "
)

_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_FCNTL = {"x86_64": 72, "aarch64": 25}
_FIRST_LEASE, _LAST_LEASE = 1024, 1029  # fcntl's commands that hold up whoever else opens a file, or watch a folder
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_…
_FOREIGN_CALLS = 0x40000000  # x86_64: calls of the x32 form begin here
_CLONE_THREAD = 0x00010000

_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000  # SECCOMP_RET_…
_EPERM, _ENOSYS = 1, 38
_LOAD, _EQUAL, _AT_LEAST, _ABOVE, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x25, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT, _SECOND_ARGUMENT_AT = 0, 4, 16, 24  # in struct seccomp_data

_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_NO_NEW_PRIVILEGES = 38


def is_known(machine: str) -> bool:
    """Whether there is a filter for processors of this name (`platform.machine()`)."""
    return machine in _ARCHITECTURES


def allowed_numbers(machine: str) -> list[int]:
    numbers = []
    for entry in "".join(_ALLOWED).split():
        of_intel, _, of_arm = entry.partition("=")[2].partition("/")
        number = of_intel if machine == "x86_64" else of_arm
        if number:
            numbers.append(int(number))
    return sorted(numbers)


def filter_program(machine: str) -> bytes:
    """The filter as the kernel's instructions, 8 bytes each."""
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if machine == "x86_64":
        program += [(_AT_LEAST, 0, 1, _FOREIGN_CALLS), (_RETURN, 0, 0, _ERROR | _EPERM)]
    # The C library then falls back to the older call, whose arguments can be looked at.
    program += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ERROR | _ENOSYS)]
    program += [
        (_EQUAL, 0, 4, _CLONE[machine]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (_ANY_BIT, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERROR | _EPERM),
    ]
    program += [
        (_EQUAL, 0, 5, _FCNTL[machine]),
        (_LOAD, 0, 0, _SECOND_ARGUMENT_AT),
        (_AT_LEAST, 0, 2, _FIRST_LEASE),
        (_ABOVE, 1, 0, _LAST_LEASE),
        (_RETURN, 0, 0, _ERROR | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    for first, last in _ranges(allowed_numbers(machine)):
        program += [(_AT_LEAST, 0, 2, first), (_ABOVE, 1, 0, last), (_RETURN, 0, 0, _ALLOW)]
    program.append((_RETURN, 0, 0, _ERROR | _EPERM))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def confine() -> None:
    """Put the filter on all threads of this process, for good. Raises OSError when the kernel refuses."""
    machine = platform.machine()
    program = filter_program(machine)
    instructions = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]

    given = Program(len(program) // 8, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if libc.syscall(_SECCOMP[machine], _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(given)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found

# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What a process that has started does about its memory: pages of 2 MB for what stays, none for code that ran once.

A login runs OpenSSL, the data path and Python in turn, and each finds that the others have pushed its addresses out of
the processor's cache of translations (TLB). In a virtual machine a translation takes up to 24 reads of memory. With
huge pages the translations of all that is imported fit: a login takes an eighth less CPU time.

What reads and checks the configuration runs once. Its code, of pydantic above all, is 4 MB that a process would keep.
"""

from pathlib import Path

from libc.stdint cimport uintptr_t


cdef extern from "<sys/mman.h>" nogil:
    int c_madvise "madvise"(void *address, size_t length, int advice)

    int MADV_DONTNEED

cdef int MADV_COLLAPSE = 25   # madvise(2), since Linux 6.1; glibc 2.36 does not name it

HUGE = 2 * 1024 * 1024
SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")
SMAPS = Path("/proc/self/smaps")


def ranges(maps):
    """The addresses (begin, end) of the anonymous memory in `maps`, the text of proc_pid_maps(5), in whole huge pages."""
    found = []
    for line in maps.splitlines():
        addresses, rights, _, _, inode, *name = line.split(maxsplit=5)
        if rights != "rw-p" or inode != "0" or (name and name[0] != "[heap]"):
            continue
        begin, end = (int(address, 16) for address in addresses.split("-"))
        begin, end = -(-begin // HUGE) * HUGE, end // HUGE * HUGE
        if begin < end:
            found.append((begin, end))
    return found


def collapse(setting=SETTING):
    """Put this process's anonymous memory into huge pages; returns how many bytes.

    What the kernel cannot, stays as it is: an older one, or memory that has no huge pages free. A machine whose
    administrator has forbidden them (`never` in `setting`) is left alone.
    """
    cdef uintptr_t address
    cdef size_t size = HUGE
    cdef int failed
    done = 0
    try:
        if "[never]" in setting.read_text():
            return 0
        found = ranges(Path("/proc/self/maps").read_text())
    except OSError:
        return 0   # a kernel without huge pages, or no /proc
    for begin, end in found:
        for here in range(begin, end, HUGE):
            address = here
            with nogil:
                failed = c_madvise(<void *>address, size, MADV_COLLAPSE)
            if not failed:
                done += size
    return done


def files(smaps):
    """The addresses (begin, end) of what is mapped from files in `smaps`, the lines of proc_pid_smaps(5), as it is there.

    It cannot be written, and no page of it has been: the linker does so before it makes a part read only.
    """
    found = []
    mapping = None
    for line in smaps:
        field, _, value = line.partition(":")
        if field == "Anonymous":
            if mapping is not None and value.split()[0] == "0":
                found.append(mapping)
        elif "-" in field:   # the first line of a mapping
            addresses, rights, _, _, inode, *_ = line.split(maxsplit=5)
            begin, end = (int(address, 16) for address in addresses.split("-"))
            mapping = (begin, end) if rights in ("r-xp", "r--p") and inode != "0" else None
    return found


def release_code(smaps=SMAPS):
    """Let go of the pages of code and constants; returns how many bytes are mapped so.

    They stay in the kernel's cache of the files. A page that is used again is mapped again, with its neighbours.
    """
    cdef uintptr_t address
    cdef size_t size
    cdef int failed
    done = 0
    try:
        with smaps.open(errors="replace") as lines:   # half a megabyte
            found = files(lines)
    except OSError:
        return 0   # no /proc
    for begin, end in found:
        address, size = begin, end - begin
        with nogil:
            failed = c_madvise(<void *>address, size, MADV_DONTNEED)
        if not failed:
            done += size
    return done

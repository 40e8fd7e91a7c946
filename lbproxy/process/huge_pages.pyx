# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Put what a process has in memory for good into pages of 2 MB.

A login runs OpenSSL, the data path and Python in turn, and each finds that the others have pushed its addresses out of
the processor's cache of translations (TLB). In a virtual machine a translation takes up to 24 reads of memory. With
huge pages the translations of all that is imported fit: a login takes an eighth less CPU time.
"""

from pathlib import Path

from libc.stdint cimport uintptr_t


cdef extern from "<sys/mman.h>" nogil:
    int c_madvise "madvise"(void *address, size_t length, int advice)

cdef int MADV_COLLAPSE = 25   # madvise(2), since Linux 6.1; glibc 2.36 does not name it

HUGE = 2 * 1024 * 1024
SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")


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

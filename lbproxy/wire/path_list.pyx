# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Whether a path is one of a list, as far as that can be seen at a glance: most requests need no more of `wire.paths`."""

from libc.stdint cimport uint8_t

from lbproxy.wire.slices cimport Slice, same, slice_of


cdef int path_listed(Slice target, tuple paths) noexcept:
    """1: the path of a request target is one of `paths` (bytes in lower case) or below one, 0: it is not.

    2: it is spelled so that `wire.paths.is_denied` must be asked.
    """
    cdef Py_ssize_t size = _plain_size(target)
    cdef bytes path
    if size < 0:
        return 2
    for path in paths:
        if _is_below(Slice(target.at, size), slice_of(path)):
            return 1
    return 0


cdef inline Py_ssize_t _plain_size(Slice target) noexcept nogil:
    """Bytes of the path, without a query; -1 if it has percent-encoding, empty or dot segments, backslash, parameters."""
    cdef size_t size = 0
    cdef uint8_t c
    cdef uint8_t before = 0
    while size < target.size:
        c = <uint8_t>target.at[size]
        if c == b'?':
            break
        if c == b'%' or c == b'\\' or c == b';' or (before == b'/' and (c == b'/' or c == b'.')):
            return -1
        before = c
        size += 1
    return size


cdef inline bint _is_below(Slice path, Slice wanted) noexcept nogil:
    """Whether a path is `wanted` or below it; everything is below /."""
    if wanted.size <= 1:
        return True
    if path.size < wanted.size or not same(Slice(path.at, wanted.size), wanted):
        return False
    return path.size == wanted.size or path.at[wanted.size] == b'/'


def listed(bytes target not None, tuple paths not None):
    """`path_listed` for tests."""
    return path_listed(slice_of(target), paths)

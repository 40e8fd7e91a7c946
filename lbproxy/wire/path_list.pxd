# cython: language_level=3

from lbproxy.wire.slices cimport Slice


cdef int path_listed(Slice target, tuple paths) noexcept

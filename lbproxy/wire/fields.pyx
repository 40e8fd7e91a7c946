# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Header lines: what their names mean, and a scanner that looks at each byte once.

Everything ambiguous is an error (a negative code), and lines that were understood are written anew by those who use
this, so bytes that were not understood are never passed on. Slices point into the buffer that was parsed: they are
good until that buffer changes.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr

from lbproxy.wire.slices cimport Slice, has_control, lower, slice_of, to_bytes

cdef uint8_t _NAME[256]      # tchar (RFC 9110 section 5.6.2): lower-cased, `_` as `-`; 0 for every other byte


cdef void _fill_table() noexcept:
    cdef uint8_t c
    for c in b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        _NAME[c] = 45 if c == 95 else lower(c)


_fill_table()


cdef inline bint _same_name(Slice one, Slice other) noexcept nogil:
    cdef size_t i
    if one.size != other.size:
        return False
    for i in range(one.size):
        if _NAME[<uint8_t>one.at[i]] != _NAME[<uint8_t>other.at[i]]:
            return False
    return True


cdef bint same_name(Slice one, Slice other) noexcept nogil:
    """Whether two header names are the same to a backend that takes `_` for `-`."""
    return _same_name(one, other)


cdef const char *token_end(const char *at, const char *end) noexcept nogil:
    """Where the token at `at` ends (RFC 9110 section 5.6.2), `end` at the latest."""
    while at < end and _NAME[<uint8_t>at[0]] != 0:
        at += 1
    return at


cdef bint next_token(const char **at, const char *end, Slice *token) noexcept nogil:
    """The next member of a comma-separated list of tokens (RFC 9110 section 5.6.1); a size of 0 is a bad one."""
    cdef const char *p = at[0]
    while p < end and (p[0] == b',' or p[0] == b' ' or p[0] == b'\t'):
        p += 1
    if p == end:
        return False
    token.at = p
    p = token_end(p, end)
    token.size = p - token.at
    at[0] = p
    return True


# --- names

cdef class FieldTable:
    """What header names mean, in any case and with `_` for `-`. A lookup looks at a few bytes and rarely searches."""

    def __cinit__(self, names, prefixes=(), bint allow_underscores=True):
        """names: {name: Field}; prefixes: {how a name begins: Field}, for names that are not in `names`.

        allow_underscores: whether names of no meaning are passed on if they have a `_`.
        """
        cdef uint32_t at
        prefixes = dict(prefixes)
        for at in range(256):
            self._begins[at] = len(prefixes)
        if len(names) > 160 or len(prefixes) > 24:
            raise ValueError("too many header names to strip: at most about 100 in strip_headers")
        self.allow_underscores = allow_underscores
        self._names = [*names, *prefixes]
        for name, field in names.items():
            at = _first_slot(slice_of(name))
            while self._slots[at].name.at != NULL:
                at = (at + 1) & 255
            self._slots[at].name = slice_of(name)
            self._slots[at].field = <int>field
        for prefix, field in sorted(prefixes.items(), key=_initial):       # else in the order given: the first counts
            if self._prefix_count == 0 or self._prefixes[self._prefix_count - 1].name.at[0] != prefix[0]:
                self._begins[<uint8_t>prefix[0]] = self._prefix_count
            self._prefixes[self._prefix_count].name = slice_of(prefix)
            self._prefixes[self._prefix_count].field = <int>field
            self._prefix_count += 1

    cdef uint8_t classify(self, Slice name, bint underscore) noexcept nogil:
        """The meaning of a name; `X_Forwarded_User` means what `X-Forwarded-User` does, and is always stripped."""
        cdef uint8_t field = _meaning(self, name)
        return STRIP if underscore and (field != OTHER or not self.allow_underscores) else field

    def meaning(self, bytes name not None):
        """`classify` of a name that is not empty."""
        if not name:
            raise ValueError("no name")
        return Field(self.classify(slice_of(name), b"_" in name))


def _initial(prefix):
    return prefix[0][0]


cdef inline uint32_t _first_slot(Slice name) noexcept nogil:
    """Where a name, which is not empty, may be: its size and three of its bytes tell header names apart well enough."""
    cdef const uint8_t *at = <const uint8_t *>name.at
    return (31 * _NAME[at[0]] + 17 * _NAME[at[name.size // 2]] + 5 * _NAME[at[name.size - 1]] + 29 * name.size) & 255


cdef inline uint8_t _meaning(FieldTable table, Slice name) noexcept nogil:
    cdef uint32_t at = _first_slot(name)
    cdef uint8_t initial = _NAME[<uint8_t>name.at[0]]
    cdef Line *prefix
    cdef int i
    while table._slots[at].name.at != NULL:
        if _same_name(name, table._slots[at].name):
            return table._slots[at].field
        at = (at + 1) & 255
    for i in range(table._begins[initial], table._prefix_count):
        prefix = &table._prefixes[i]
        if <uint8_t>prefix.name.at[0] != initial:
            break
        if name.size >= prefix.name.size and _same_name(Slice(name.at, prefix.name.size), prefix.name):
            return prefix.field
    return OTHER


# --- lines

cdef class Limits:
    """max_head: bytes of a whole head; max_target: bytes of a request target; max_lines: header lines."""

    def __cinit__(self, size_t max_head=131072, size_t max_target=16384, int max_lines=256):
        self.max_head = max_head
        self.max_target = max_target
        self.max_lines = max_lines


cdef class FieldSection:

    def __cinit__(self, Limits limits not None, FieldTable table not None, bint bare_lf=False):
        """The table says what the header names mean; the limits are the listener's.

        bare_lf: whether lines may end with LF alone.
        """
        self.limits = limits
        self.table = table
        self.bare_lf = bare_lf
        self.room = 32
        self.lines = <Line *>malloc(self.room * sizeof(Line))
        if self.lines == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.lines)

    cdef int parse_lines(self, const char *start, const char *end, const char **after) noexcept nogil:
        """Header lines up to the empty one: 1 and `after` behind it, 0 when more bytes are needed, else an error.

        They are added to those that are there: `count` comes from the caller.
        """
        cdef const char *eol
        cdef const char *stop
        cdef int error
        while True:
            eol = <const char *>memchr(start, b'\n', end - start)
            if eol == NULL:
                return NEED_MORE
            stop = line_end(start, eol, self.bare_lf)
            if stop == NULL:
                return E_BARE_LF
            if stop == start:
                after[0] = eol + 1
                return 1
            if self.count == self.limits.max_lines or (self.count == self.room and not self._grow()):
                return E_TOO_MANY
            error = _scan_line(self, start, stop)
            if error:
                return error
            start = eol + 1

    cdef bint _grow(self) noexcept nogil:
        cdef Line *grown = <Line *>realloc(self.lines, 2 * self.room * sizeof(Line))
        if grown == NULL:
            return False
        self.lines = grown
        self.room *= 2
        return True

    cdef int special(self, Line *line) noexcept nogil:
        """A line that lbproxy must understand (its field is above STRIP); 0 or an error."""
        return 0

    def fields(self):
        """[(name, value, Field)] of what was parsed last, while its buffer is there; for rare decisions."""
        cdef Line *line
        cdef int i
        found = []
        for i in range(self.count):
            line = &self.lines[i]
            found.append((to_bytes(line.name), to_bytes(line.value), Field(line.field)))
        return found

    def values(self, uint8_t field):
        """The values of the lines that mean `field`, of what was parsed last, while its buffer is there."""
        cdef int i
        found = []
        for i in range(self.count):
            if self.lines[i].field == field:
                found.append(to_bytes(self.lines[i].value))
        return found


cdef inline int _scan_line(FieldSection section, const char *start, const char *end) noexcept nogil:
    """One header line without its CR LF or LF, which is at `end`; 0 or an error."""
    cdef const char *at = start
    cdef Line *line = &section.lines[section.count]
    cdef bint underscore = False
    if start[0] == b' ' or start[0] == b'\t':
        return E_FOLD
    while _NAME[<uint8_t>at[0]]:             # neither CR nor LF is one
        underscore |= at[0] == b'_'
        at += 1
    if at[0] != b':' or at == start:
        return E_NAME
    line.name = Slice(start, at - start)
    line.field = section.table.classify(line.name, underscore)
    at += 1
    while at < end and (at[0] == b' ' or at[0] == b'\t'):
        at += 1
    while end > at and ((end - 1)[0] == b' ' or (end - 1)[0] == b'\t'):
        end -= 1
    line.value = Slice(at, end - at)
    if has_control(line.value):
        return E_VALUE
    section.count += 1
    return section.special(line) if line.field > STRIP else 0

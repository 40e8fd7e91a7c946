"""What GSS-API has no function for: sign in anew whenever we like, hear all that the KDC says, and free a cache.

MIT's libkrb5 is called by ctypes; gssapi has loaded it already. GSS-API signs in only when it thinks that a cache needs
it, keeps the KDC's e-data to itself, where Active Directory says why it refuses an account, and destroys no cache.
The structures are those of krb5.h, which have not changed since 2001.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ctypes import POINTER, byref, c_char_p, c_int32, c_uint, c_uint32, c_void_p
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lbproxy.errors import MissingExtraError

ERRORS = -1765328384
"""The first number of MIT's table krb5: RFC 4120's error codes, then MIT's own."""


class Times(NamedTuple):
    """When a ticket-granting ticket was issued and when it ends: epoch seconds of the KDC's clock."""

    issued: int
    ends: int


class SignInError(Exception):
    """`number` is that of RFC 4120 section 7.5.9, or MIT's own from 128 on; `text` the library's or the KDC's.

    `status` is the KDC's e-text, and `data` its e-data, both empty if the error is not the KDC's.
    """

    def __init__(self, number: int, text: str, status: str = "", data: bytes = b"") -> None:
        super().__init__(number, text)
        self.number = number
        self.text = text
        self.status = status
        self.data = data


class _Data(ctypes.Structure):
    _fields_ = (("magic", c_int32), ("length", c_uint), ("data", c_void_p))

    def content(self) -> bytes:
        return ctypes.string_at(self.data, self.length) if self.data else b""


class _Error(ctypes.Structure):
    _fields_ = (
        ("magic", c_int32),
        ("ctime", c_int32),
        ("cusec", c_int32),
        ("susec", c_int32),
        ("stime", c_int32),
        ("error", c_uint32),
        ("client", c_void_p),
        ("server", c_void_p),
        ("text", _Data),
        ("e_data", _Data),
    )


class _Times(ctypes.Structure):
    _fields_ = (("authtime", c_uint32), ("starttime", c_uint32), ("endtime", c_uint32), ("renew_till", c_uint32))


_FUNCTIONS: dict[str, tuple[type | None, ...]] = {  # what each returns, and what it is given
    "krb5_init_context": (c_int32, c_void_p),
    "krb5_free_context": (None, c_void_p),
    "krb5_parse_name": (c_int32, c_void_p, c_char_p, c_void_p),
    "krb5_free_principal": (None, c_void_p, c_void_p),
    "krb5_kt_resolve": (c_int32, c_void_p, c_char_p, c_void_p),
    "krb5_kt_close": (c_int32, c_void_p, c_void_p),
    "krb5_cc_resolve": (c_int32, c_void_p, c_char_p, c_void_p),
    "krb5_cc_close": (c_int32, c_void_p, c_void_p),
    "krb5_cc_destroy": (c_int32, c_void_p, c_void_p),
    "krb5_get_init_creds_opt_alloc": (c_int32, c_void_p, c_void_p),
    "krb5_get_init_creds_opt_free": (None, c_void_p, c_void_p),
    "krb5_get_init_creds_opt_set_out_ccache": (c_int32, c_void_p, c_void_p, c_void_p),
    "krb5_init_creds_init": (c_int32, c_void_p, c_void_p, c_void_p, c_void_p, c_int32, c_void_p, c_void_p),
    "krb5_init_creds_set_keytab": (c_int32, c_void_p, c_void_p, c_void_p),
    "krb5_init_creds_get": (c_int32, c_void_p, c_void_p),
    "krb5_init_creds_get_times": (c_int32, c_void_p, c_void_p, c_void_p),
    "krb5_init_creds_get_error": (c_int32, c_void_p, c_void_p, POINTER(POINTER(_Error))),
    "krb5_init_creds_free": (None, c_void_p, c_void_p),
    "krb5_free_error": (None, c_void_p, POINTER(_Error)),
    "krb5_get_error_message": (c_void_p, c_void_p, c_int32),
    "krb5_free_error_message": (None, c_void_p, c_void_p),
}


@cache
def _library() -> ctypes.CDLL:
    """Raises MissingExtraError where MIT's library is not installed."""
    try:
        library = ctypes.CDLL("libkrb5.so.3")
    except OSError as error:
        raise MissingExtraError("a Kerberos check", "kerberos") from error
    for name, (result, *arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def sign_in(principal: str, keytab: Path, ccache: str) -> Times:
    """Ask a KDC for a ticket-granting ticket, with the key in `keytab`, and put it alone into `ccache`.

    It blocks for as long as the library tries KDCs. Raises SignInError.
    """
    with _Session() as session:
        client = session.make("krb5_parse_name", "krb5_free_principal", principal.encode())
        keys = session.make("krb5_kt_resolve", "krb5_kt_close", f"FILE:{keytab}".encode())
        into = session.make("krb5_cc_resolve", "krb5_cc_close", ccache.encode())
        options = session.make("krb5_get_init_creds_opt_alloc", "krb5_get_init_creds_opt_free")
        session.call("krb5_get_init_creds_opt_set_out_ccache", options, into)
        exchange = session.make("krb5_init_creds_init", "krb5_init_creds_free", client, None, None, 0, options)
        session.call("krb5_init_creds_set_keytab", exchange, keys)
        with session.listening_to(exchange):
            session.call("krb5_init_creds_get", exchange)
        times = _Times()
        session.call("krb5_init_creds_get_times", exchange, byref(times))
        return Times(times.authtime, times.endtime)


def destroy(ccache: str) -> None:
    """Free a cache in memory, whose name may be used again. Raises SignInError."""
    with _Session() as session:
        found = c_void_p()
        session.call("krb5_cc_resolve", ccache.encode(), byref(found))
        session.call("krb5_cc_destroy", found)


class _Session(ExitStack):
    """A context of the library, and what was made in it, to be freed in reverse order."""

    def __init__(self) -> None:
        super().__init__()
        self._library = _library()
        self._context = c_void_p()
        if number := self._library.krb5_init_context(byref(self._context)):
            raise SignInError(number - ERRORS, "krb5.conf cannot be used")
        self.callback(self._library.krb5_free_context, self._context)

    def call(self, name: str, *arguments: object) -> None:
        """Raises SignInError when the function returns an error."""
        if number := getattr(self._library, name)(self._context, *arguments):
            raise SignInError(number - ERRORS, self._text(number))

    def make(self, name: str, free: str, *arguments: object) -> c_void_p:
        """What the function puts into its last argument."""
        made = c_void_p()
        self.call(name, *arguments, byref(made))
        release: Callable[..., object] = getattr(self._library, free)
        self.callback(release, self._context, made)
        return made

    @contextmanager
    def listening_to(self, exchange: c_void_p) -> Iterator[None]:
        """Adds to an error what the KDC said, if it is its own."""
        try:
            yield
        except SignInError as error:
            said = POINTER(_Error)()
            self.call("krb5_init_creds_get_error", exchange, byref(said))
            if said:
                self.callback(self._library.krb5_free_error, self._context, said)
                if said.contents.error == error.number:
                    error.status = said.contents.text.content().rstrip(b"\0").decode("utf-8", "replace")
                    error.data = said.contents.e_data.content()
            raise

    def _text(self, number: int) -> str:
        message = self._library.krb5_get_error_message(self._context, number)
        text = ctypes.string_at(message).decode("utf-8", "replace")
        self._library.krb5_free_error_message(self._context, message)
        return text

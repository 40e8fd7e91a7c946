"""ClientHellos: tables first, then what must hold for every one, then those of real clients."""

from __future__ import annotations

import ssl
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.wire import clienthello
from lbproxy.wire.clienthello import (
    MAX_HELLO,
    ClientHello,
    HelloError,
    HelloReader,
    HelloTooLarge,
    MalformedHello,
    NotTls,
    alert,
    parse,
)
from tests.wire.hellos import (
    GREASE,
    SslClient,
    extension,
    hello,
    message,
    needs_openssl,
    record,
    records,
    s_client,
    server_name,
    vector,
)
from tests.wire.strategies import damaged, pieces

NAMED = message(server_name(b"login.test"))
HTTP = b"GET / HTTP/1.1\r\nHost: login.test\r\n\r\n"
SSL_2 = b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10\x01\x00\x80"


def refused(data: bytes) -> tuple[type[HelloError], int]:
    """The error for these bytes, and the description in the alert that it wants sent."""
    with pytest.raises(HelloError) as error:
        parse(data)
    assert error.value.alert[:-1] == b"\x15\x03\x03\x00\x02\x02"
    return type(error.value), error.value.alert[-1]


def outcome(data: bytes, reader: HelloReader | None = None) -> ClientHello | tuple[type[HelloError], str] | None:
    try:
        return (reader or HelloReader()).read(data)
    except HelloError as error:
        return type(error), str(error)


# --- what is accepted


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 100, 1 << 14])
def test_a_message_in_any_number_of_records(size: int) -> None:
    assert parse(hello(size=size)) == ClientHello("login.test")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (records(message(None)), None),
        (records(message(b"")), None),
        (records(message(extension(GREASE, b"?"))), None),
        (hello(None), None),
        (records(NAMED) + b"early data, whatever it is", "login.test"),
        (record(NAMED + b"\x02\0\0\0"), "login.test"),  # another message in the record
        (record(NAMED, version=b"\3\0"), "login.test"),
        (record(NAMED, version=b"\3\4"), "login.test"),
        (record(NAMED[:9], version=b"\3\1") + record(NAMED[9:], version=b"\3\3"), "login.test"),
        (records(message(extension(21, bytes(40000)) + server_name(b"login.test"))), "login.test"),
    ],
)
def test_hellos(data: bytes, name: str | None) -> None:
    assert parse(data) == ClientHello(name)


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "a",
        "LOGIN.Corp.Example",
        "xn--bcher-kva.example",
        "_service.login.test",
        "a-b.c--d.test",
        "1.2.3.4.test",
        "192.0.2.test",
        "1a",
        "x" * 63 + ".test",
        "a." * 126 + "b",
    ],
)
def test_names(name: str) -> None:
    assert parse(hello(name.encode())) == ClientHello(name.lower())


# --- what is refused


@pytest.mark.parametrize(
    "name",
    [
        b"login.test.",
        b".login.test",
        b".",
        b"",
        b"login..test",
        b"192.0.2.1",
        b"127.1",
        b"2130706433",
        b"2001:db8::1",
        b"[::1]",
        b"login.test:443",
        b"login test",
        b"login.test\0",
        b"login.test\n",
        b"login.test\r\nX: y",
        b"*.login.test",
        b"b\xfccher.example",
        "b\u00fccher.example".encode(),
        b"\xff",
        b"-login.test",
        b"login-.test",
        b"x" * 64 + b".test",
        b"a." * 127 + b"b",
    ],
)
def test_names_that_are_refused(name: bytes) -> None:
    assert refused(hello(name)) == (MalformedHello, clienthello.ILLEGAL_PARAMETER)


def test_the_text_of_an_error_is_fit_for_a_log() -> None:
    with pytest.raises(MalformedHello) as error:
        parse(hello(b"login\r\n\x1b[31m\xe9" + b"x" * 1000))
    assert str(error.value).isascii()
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("data", "description"),
    [
        (HTTP, clienthello.UNEXPECTED_MESSAGE),
        (b"G", clienthello.UNEXPECTED_MESSAGE),
        (SSL_2, clienthello.UNEXPECTED_MESSAGE),
        (b"\x80", clienthello.UNEXPECTED_MESSAGE),
        (b"\0", clienthello.UNEXPECTED_MESSAGE),
        (b"SSH-2.0-x\r\n", clienthello.UNEXPECTED_MESSAGE),
        (b"PROXY UNKNOWN\r\n" + records(NAMED), clienthello.UNEXPECTED_MESSAGE),
        (record(b"\2\50", kind=21), clienthello.UNEXPECTED_MESSAGE),
        (record(b"?", kind=23), clienthello.UNEXPECTED_MESSAGE),
        (b"\x16\2", clienthello.PROTOCOL_VERSION),
        (record(NAMED, version=b"\xfe\xfd"), clienthello.PROTOCOL_VERSION),  # DTLS
    ],
)
def test_what_is_not_tls(data: bytes, description: int) -> None:
    assert refused(data) == (NotTls, description)


@pytest.mark.parametrize(
    ("data", "description"),
    [
        (b"\x16\3\1\0\0", clienthello.UNEXPECTED_MESSAGE),
        (b"\x16\3\1\x40\1", clienthello.RECORD_OVERFLOW),
        (record(NAMED[:9]) + b"\x14", clienthello.UNEXPECTED_MESSAGE),
        (record(NAMED[:9]) + b"\x16\2", clienthello.PROTOCOL_VERSION),
        (record(NAMED[:9]) + b"\x16\3\3\0\0", clienthello.UNEXPECTED_MESSAGE),
        (record(NAMED[:9]) + b"\x16\3\3\xff\xff", clienthello.RECORD_OVERFLOW),
        (record(message(kind=2)), clienthello.UNEXPECTED_MESSAGE),
        (record(b"\2\0\0\0"), clienthello.UNEXPECTED_MESSAGE),
    ],
)
def test_records_that_are_refused(data: bytes, description: int) -> None:
    assert refused(data) == (MalformedHello, description)


@pytest.mark.parametrize(
    ("whole", "description"),
    [
        (b"\1" + vector(3, b""), clienthello.DECODE_ERROR),
        (b"\1" + vector(3, bytes(20)), clienthello.DECODE_ERROR),
        (message(end=b"\0"), clienthello.DECODE_ERROR),
        (message(None, end=b"\0"), clienthello.DECODE_ERROR),
        (message(None, end=b"\0\1"), clienthello.DECODE_ERROR),
        (message(b"\0"), clienthello.DECODE_ERROR),
        (message(b"\0\x2b\0"), clienthello.DECODE_ERROR),
        (message(b"\0\x2b\0\2\0"), clienthello.DECODE_ERROR),
        (message(extension(0, b"")), clienthello.DECODE_ERROR),
        (message(extension(0, vector(2, b""))), clienthello.DECODE_ERROR),
        (message(extension(0, vector(2, b"\0\0\5a"))), clienthello.DECODE_ERROR),
        (message(extension(0, vector(2, b"\0" + vector(2, b"a")) + b"\0")), clienthello.DECODE_ERROR),
        (message(server_name(b"a.test", b"b.test")), clienthello.DECODE_ERROR),
        (message(server_name(b"a.test", kind=1)), clienthello.DECODE_ERROR),
        (message(server_name(b"a.test") + server_name(b"b.test")), clienthello.ILLEGAL_PARAMETER),
        (message(server_name(b"a.test") + server_name(b"a.test")), clienthello.ILLEGAL_PARAMETER),
    ],
)
def test_messages_that_are_refused(whole: bytes, description: int) -> None:
    assert refused(records(whole)) == (MalformedHello, description)


def test_the_largest() -> None:
    """The limit counts the records, for those are what has to be kept."""
    room = MAX_HELLO - 4 * 5 - len(message(extension(21, b"")))
    largest = records(message(extension(21, bytes(room))), 1 << 14)
    assert len(largest) == MAX_HELLO
    assert parse(largest) == ClientHello(None)
    assert parse(largest[:-1]) is None
    too_large = records(message(extension(21, bytes(room + 1))), 1 << 14)
    assert refused(too_large) == (HelloTooLarge, clienthello.ILLEGAL_PARAMETER)
    assert refused(record(b"\1\xff\xff\xff")) == (HelloTooLarge, clienthello.ILLEGAL_PARAMETER)


# --- any bytes

WHOLE = [hello(), hello(None), hello(size=7), records(NAMED, 1), records(message(None)), HTTP, SSL_2]


@pytest.mark.parametrize("data", [hello(), hello(size=50), records(NAMED, 1)])
def test_nothing_is_known_before_the_last_byte(data: bytes) -> None:
    reader = HelloReader()
    assert {reader.read(data[:size]) for size in range(len(data))} == {None}
    assert reader.read(data) == ClientHello("login.test")


@given(st.data())
def test_pieces_and_damage_change_nothing_but_when_it_is_known(data: st.DataObject) -> None:
    """Whatever comes, the first answer that is not None is that of all bytes at once; and nothing else is raised."""
    raw = data.draw(damaged(st.sampled_from(WHOLE)) | st.sampled_from(WHOLE))
    reader = HelloReader()
    for start in accumulate(data.draw(pieces(raw))):
        known = outcome(start, reader)
        assert known == outcome(start)
        if known is not None:
            break
    assert known == outcome(raw)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_content_is_understood_or_refused(body: bytes, size: int) -> None:
    found = outcome(records(b"\1" + vector(3, body), size))
    assert found is not None


# --- real clients


@pytest.mark.parametrize("highest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("padding", [0, 6000])
def test_the_hello_of_python(highest: ssl.TLSVersion, padding: int) -> None:
    data = SslClient("Login.test", highest, padding).hello
    assert len(data) > padding
    assert parse(data) == ClientHello("login.test")
    assert parse(records(data[5:], 1)) == ClientHello("login.test")


def test_the_hello_of_a_client_that_names_nobody() -> None:
    assert parse(SslClient(None).hello) == ClientHello(None)


@needs_openssl
@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["-servername", "LOGIN.test"], "login.test"),
        (["-noservername"], None),
        (["-servername", "login.test", "-tls1_2"], "login.test"),
        (
            ["-servername", "login.test", "-groups", "P-521:X448:X25519", "-alpn", ",".join(["p" * 99] * 40)],
            "login.test",
        ),
    ],
)
def test_the_hello_of_openssl(options: list[str], name: str | None) -> None:
    assert parse(s_client(*options)) == ClientHello(name)


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        (clienthello.UNRECOGNIZED_NAME, "TLSV1_UNRECOGNIZED_NAME"),
        (clienthello.MISSING_EXTENSION, "TLSV13_ALERT_MISSING_EXTENSION"),
        (clienthello.HANDSHAKE_FAILURE, "SSLV3_ALERT_HANDSHAKE_FAILURE"),
        (clienthello.UNEXPECTED_MESSAGE, "SSLV3_ALERT_UNEXPECTED_MESSAGE"),
        (clienthello.RECORD_OVERFLOW, "TLSV1_ALERT_RECORD_OVERFLOW"),
        (clienthello.ILLEGAL_PARAMETER, "SSLV3_ALERT_ILLEGAL_PARAMETER"),
        (clienthello.DECODE_ERROR, "TLSV1_ALERT_DECODE_ERROR"),
        (clienthello.PROTOCOL_VERSION, "TLSV1_ALERT_PROTOCOL_VERSION"),
        (clienthello.INTERNAL_ERROR, "TLSV1_ALERT_INTERNAL_ERROR"),
    ],
)
@pytest.mark.parametrize("highest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_understands_the_alert(highest: ssl.TLSVersion, description: int, reason: str) -> None:
    assert SslClient("login.test", highest).reason_after(alert(description)) == reason

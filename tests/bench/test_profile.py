from xml.etree import ElementTree

import pytest

from bench.profile.parts import DATA_PATH, KERNEL, LIBC, LOOP, PYTHON, TLS, Part, groups, parts, readable
from bench.profile.report import Profile, svg, table
from bench.profile.samples import Frame, Sample, samples
from tests.bench.made_up import rows

SENT = """\
        500250
\tffffffff81f0 tcp_sendmsg ([kernel.kallsyms])
\tffffffff81f1 __sys_sendto ([kernel.kallsyms])
\tffffffff81f2 __x64_sys_sendto ([kernel.kallsyms])
\tffffffff81f3 do_syscall_64 ([kernel.kallsyms])
\tffffffff81f4 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
\t       1234 send (/usr/lib/x86_64-linux-gnu/libc.so.6)

        500250
\t       5678 __pyx_f_7lbproxy_4wire_5heads_4Head_special (/x/lbproxy/wire/heads.cpython-311-x86_64-linux-gnu.so)
\t7f4158856240 [unknown] ([unknown])
"""

HEADS = "/srv/lbproxy/wire/heads.cpython-311-x86_64-linux-gnu.so"


def kernel(*symbols: str) -> Sample:
    return Sample(1, (*(Frame(symbol, "[kernel.kallsyms]") for symbol in symbols), Frame("main", "/bin/main")))


def user(symbol: str, file: str) -> Sample:
    return Sample(1, (Frame(symbol, file),))


def test_reads_what_perf_prints() -> None:
    sent, parsed = samples(SENT.splitlines())
    assert (sent.weight, len(sent.frames)) == (500250, 6)
    assert sent.frames[-1] == Frame("send", "/usr/lib/x86_64-linux-gnu/libc.so.6")
    assert parsed.frames[1] == Frame("[unknown]", "[unknown]")


def test_what_perf_prints_is_summed_up() -> None:
    assert parts(samples(SENT.splitlines())) == [
        Part(KERNEL, "sendto", 0.5),
        Part(DATA_PATH, "heads.Head.special", 0.5),
    ]


@pytest.mark.parametrize(
    ("symbols", "name"),
    [
        (("tcp_sendmsg", "____sys_sendmsg", "___sys_sendmsg", "__sys_sendmsg", "do_syscall_64"), "sendmsg"),
        (("vfs_writev", "do_writev", "do_syscall_64", "entry_SYSCALL_64_after_hwframe"), "writev"),
        (("x", "__x64_sys_epoll_wait", "x64_sys_call", "do_syscall_64"), "epoll_wait"),
        (("x", "__arm64_sys_read", "invoke_syscall", "el0_svc_common"), "read"),
        (("clear_page", "exc_page_fault", "asm_exc_page_fault"), "page faults"),
        (("put_user", "exc_page_fault", "__x64_sys_read", "do_syscall_64"), "page faults"),
        (("do_syscall_64", "entry_SYSCALL_64_after_hwframe"), "entry and exit, interrupts"),
        (("net_rx_action", "asm_sysvec_apic_timer_interrupt"), "entry and exit, interrupts"),
    ],
)
def test_time_in_the_kernel_is_called_by_why_it_was_entered(symbols: tuple[str, ...], name: str) -> None:
    assert parts([kernel(*symbols)]) == [Part(KERNEL, name, 1.0)]


@pytest.mark.parametrize(
    ("file", "group"),
    [
        (HEADS, DATA_PATH),
        ("/usr/lib/x86_64-linux-gnu/libssl.so.3", TLS),
        ("/opt/lib/libcrypto.so.1.1", TLS),
        ("/usr/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so", TLS),
        ("/venv/site-packages/uvloop/loop.cpython-311-x86_64-linux-gnu.so", LOOP),
        ("/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0", PYTHON),
        ("/usr/bin/python3.11", PYTHON),
        ("/usr/lib/python3.11/lib-dynload/_json.cpython-311-x86_64-linux-gnu.so", PYTHON),
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", LIBC),
        ("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", LIBC),
        ("[vdso]", LIBC),
        ("[nf_conntrack]", KERNEL),
        ("/usr/sbin/nginx", "nginx"),
        ("[unknown]", "[unknown]"),
    ],
)
def test_a_file_is_of_a_group(file: str, group: str) -> None:
    assert list(groups(parts([user("x", file)]))) == [group]


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("__pyx_f_7lbproxy_4wire_5heads_head_end", "heads.head_end"),
        ("__pyx_f_7lbproxy_3net_6stream_6Poller__forget", "stream.Poller._forget"),
        ("__pyx_pw_7lbproxy_4wire_13request_heads_11RequestHead_7line", "request_heads.RequestHead.line"),
        ("__pyx_pw_7lbproxy_4wire_13request_heads_10Forwarding_1__cinit__", "request_heads.Forwarding.__cinit__"),
        ("__pyx_pw_7lbproxy_4wire_6bodies_4Body_3feed", "bodies.Body.feed"),
        ("__pyx_tp_new_7lbproxy_3net_6stream_Stream", "stream.Stream"),
        ("__Pyx_PyObject_Call", "__Pyx_PyObject_Call"),
        ("_PyEval_EvalFrameDefault", "_PyEval_EvalFrameDefault"),
    ],
)
def test_cython_s_names_are_made_readable(symbol: str, name: str) -> None:
    assert readable(symbol) == name


def test_groups_come_by_size() -> None:
    found = [Part("a", "1", 0.4), Part("b", "2", 0.35), Part("b", "3", 0.25)]
    assert list(groups(found)) == ["b", "a"]


PROFILE = Profile(
    "lbproxy",
    20.0,
    [Part(KERNEL, "sendto", 0.6), Part(PYTHON, "[unknown]", 0.3), *[Part(PYTHON, f"f{n}", 0.001) for n in range(100)]],
)


def test_a_table_has_shares_and_microseconds_and_sums_up_what_is_small() -> None:
    assert rows(table(PROFILE)) == [
        ["**kernel**", "60.0%", "12.00"],
        ["- sendto", "60.0%", "12.00"],
        ["**Python**", "40.0%", "8.00"],
        ["- [unknown]", "30.0%", "6.00"],
        ["- 100 others", "10.0%", "2.00"],
    ]


def test_a_bar_is_as_long_as_its_share() -> None:
    root = ElementTree.fromstring(svg(PROFILE))
    _, *bars = root.iter("{http://www.w3.org/2000/svg}rect")  # the first is the background
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert [width / widths[0] for width in widths] == pytest.approx([1, 1, 4 / 6, 3 / 6, 1 / 6], abs=0.001)


def test_nothing_is_made_of_nothing() -> None:
    assert parts([]) == []

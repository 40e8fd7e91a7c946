"""The name of server_url: what browsers and Kerberos make of it, and who answers there."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import dns.reversename
from cryptography import x509

from lbproxy.control.host_addresses import host_addresses
from lbproxy.control.probes.attempt import describe
from lbproxy.control.probes.connect import shake_hands
from lbproxy.doctor.balancer.sight import Sight
from lbproxy.doctor.finding import Finding, Found, UnseenError, ok, problem, unseen, warning
from lbproxy.doctor.kerberos.krb5_conf import read_krb5_conf
from lbproxy.ip_addresses import ip_of
from lbproxy.net.tls import certificates
from lbproxy.net.tls.files import read_certificates
from lbproxy.wire.hosts import port_of

WHY = "Browsers make the SPN of this name; another name, and the ticket is for another service."
WHY_REVERSE = "Libraries that look names up backwards ask for the ticket of the name that they find."
WHY_ANSWERS = "Users get to whatever answers at the addresses of this name."

_CONNECT = 3.0  # seconds for one address


async def forward(sight: Sight) -> Found:
    """Addresses in DNS, through which names; and whether this host's own files say something else."""
    name = sight.config.server_host
    if ip_of(name.strip("[]")):
        return [problem(f"server_url has an address, {name}", repair="give it a name in DNS, and put it in server_url")]
    here = set(await _addresses(name))
    found, through = set[str](), list[str]()
    for kind in ("A", "AAAA"):
        answer = await sight.ask(name, kind)
        found |= {str(record) for record in answer.records or ()}
        if answer.response is not None and (chain := answer.response.resolve_chaining().cnames):  # type: ignore[attr-defined]
            through = [str(one[0].target).rstrip(".") for one in chain]
    return list(_judge(sight, name, found, through, here))


def _judge(sight: Sight, name: str, found: set[str], through: list[str], here: set[str]) -> Iterator[Finding]:
    if not found:
        told = f", but this host's own files say {', '.join(sorted(here))}" if here else ""
        yield problem(f"{name} is not in DNS{told}", repair=f"add an A or AAAA record for {name}")
        return
    if through:
        last = through[-1]
        yield warning(
            f"{name} is a CNAME, and leads to {last}",
            f"Chrome and Edge ask for a ticket for HTTP/{last}, Firefox for HTTP/{name}.",
            f"make {name} an A or AAAA record; or set the policy DisableAuthNegotiateCnameLookup in all browsers",
        )
    if here and here.isdisjoint(found):
        yield warning(
            f"here {name} is {', '.join(sorted(here))}, and in DNS it is {', '.join(sorted(found))}",
            "This host does not go where users go.",
            f"getent hosts {name}; take it out of /etc/hosts",
        )
    if "." not in name:
        yield warning(
            f"{name} is a short name", "Browsers ask for HTTP/ of it as it is, or with a domain.", "use the whole name"
        )
    wanted = {str(one) for one in sight.config.virtual_addresses}
    if wanted and not wanted & found:
        yield warning(
            f"{name} leads to {', '.join(sorted(found))}, and not to virtual_addresses",
            "Users do not come to the addresses that move between the balancers.",
            f"in DNS: {name} A {', '.join(sorted(wanted))}",
        )
    if not through:
        yield ok(f"{name} is {', '.join(sorted(found))}")


async def reverse(sight: Sight) -> Found:
    """PTR of each address: only for those who look, which is MIT's default."""
    name = sight.config.server_host
    addresses = await _addresses(name)
    if not addresses or ip_of(name.strip("[]")):
        raise UnseenError(f"{name} has no address")
    conf = await asyncio.to_thread(read_krb5_conf)
    looks = conf.flag("dns_canonicalize_hostname", True) and conf.flag("rdns", True)
    found = []
    for address in addresses:
        records = (await sight.ask(dns.reversename.from_address(address).to_text(), "PTR")).records
        names = sorted(str(record).rstrip(".").lower() for record in records or ())
        if names and name not in names:
            told = f"{address} leads back to {', '.join(names)}"
            repair = "rdns = false in [libdefaults] of krb5.conf, on clients and connectors"
            found.append(warning(told, repair=repair) if looks else ok(f"{told}; krb5.conf here does not look"))
        else:
            found.append(ok(f"{address} leads back to {name if names else 'no name, so nobody is misled'}"))
    return found


async def answers(sight: Sight) -> Found:
    """Whoever accepts connections at each address; over TLS, which certificate is shown, and whether it is believed."""
    addresses = await _addresses(sight.config.server_host)
    if not addresses:
        raise UnseenError(f"{sight.config.server_host} has no address")
    own = await asyncio.to_thread(_own_certificates, sight)
    here = {str(one) for one in await asyncio.to_thread(lambda: set(host_addresses()))}
    tried = (_answers(sight, address, own, address in here) for address in addresses)
    return [one for found in await asyncio.gather(*tried) for one in found]


async def _answers(sight: Sight, address: str, own: set[bytes], is_here: bool) -> Found:
    parts = urlsplit(sight.config.server_url)
    port, name = port_of(parts), sight.config.server_host
    where = f"{address} port {port}{'' if is_here else ', which is no address of this host'}"
    try:
        async with asyncio.timeout(_CONNECT):
            if parts.scheme == "http":
                _, writer = await asyncio.open_connection(address, port)
                writer.close()
                return [ok(f"{where}: accepts connections")]
            shown = await shake_hands(address, port, _believing(), name)
    except OSError as error:
        told = f"no answer within {_CONNECT:g} s" if isinstance(error, TimeoutError) else describe(error)
        repair = f"start lbproxy; open port {port} in the firewall; ip address; lbproxy status"
        return [problem(f"{where}: {told}", repair=repair)]
    found = [await _believed(where, address, port, name)]
    if own and shown.certificate not in own:
        subject = certificates.subject(x509.load_der_x509_certificate(shown.certificate))
        told = f"{where}: shows the certificate of {subject}, which no listener here has"
        found.append(warning(told, repair="look which host has this address: ip neigh; the load balancer in front"))
    return found


async def _believed(where: str, address: str, port: int, name: str) -> Finding:
    """As a client does that has this system's authorities."""
    try:
        async with asyncio.timeout(_CONNECT):
            await shake_hands(address, port, await asyncio.to_thread(ssl.create_default_context), name)
    except ssl.SSLCertVerificationError as error:
        return warning(
            f"{where}: {describe(error)}",
            "Browsers that have no more authorities than this host warn their users.",
            "have the whole chain in the listener's certificate file, the leaf first; or install the authority here",
        )
    except OSError as error:
        return unseen(f"{where}: {describe(error)}")
    return ok(f"{where}: answers, with a certificate that this host believes")


def _believing() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _own_certificates(sight: Sight) -> set[bytes]:
    found = set()
    for listener in sight.config.listeners.values():
        if listener.tls is not None:
            for path in (listener.tls.certificate, *(pair.certificate for pair in listener.tls.additional)):
                try:
                    found.add(certificates.der(read_certificates(path)[0]))
                except ValueError:
                    continue  # another check says so
    return found


async def _addresses(name: str) -> Sequence[str]:
    """As this host's programs find them."""
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(name.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(info[4][0]) for info in infos))

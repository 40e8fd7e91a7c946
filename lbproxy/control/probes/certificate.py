"""The certificate that a TLS server presents, whoever signed it: to be compared, not believed."""

from __future__ import annotations

import asyncio
import ssl


async def peer_certificate(host: str, port: int, server_name: str, within: float) -> bytes:
    """The leaf certificate in DER. Raises OSError (ssl.SSLError and TimeoutError are such) when there is none to see.

    host: a name or an address without brackets; server_name: the SNI that is sent; within: seconds for all of it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    async with asyncio.timeout(within):
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(
            asyncio.Protocol, host, port, ssl=context, server_hostname=server_name
        )
        try:
            tls = transport.get_extra_info("ssl_object")
            certificate = tls.getpeercert(binary_form=True)
        finally:
            transport.abort()
    if not isinstance(certificate, bytes):
        raise ssl.SSLError("the server presented no certificate")
    return certificate

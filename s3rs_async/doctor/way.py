"""The way to a server: through its bastion, where one is declared, and how safe it is besides."""

from __future__ import annotations

import ipaddress

from ..config import SourceConfig, TargetConfig, TunnelConfig
from ..tunnel import Bastions
from .check import Sheet


def is_loopback(host: str) -> bool:
    """Whether what is sent there never leaves this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def through(
    sheet: Sheet, bastions: Bastions, tunnel: TunnelConfig, host: str, port: int
) -> None:
    """The bastion's own line: it proved its name, lets us in, and reaches the far end."""
    await bastions.address(tunnel, host, port)
    refused = await bastions.refusal(tunnel, host, port)
    if refused is not None:
        raise refused
    found = f"{tunnel.host}:{tunnel.port} is the known host, lets {tunnel.user} in"
    sheet.ok("bastion", f"{found} and leads to {host}:{port}")


def tell_tls(sheet: Sheet, config: SourceConfig | TargetConfig, spoken: str) -> None:
    """Whether others on the way could read along; `spoken` is what is spoken, empty for nothing."""
    mend = "set tls: verify, and name the CA with ca: where it is not a public one"
    if spoken and config.tls == "verify":
        sheet.ok("tls", f"{spoken}, the certificate proves {config.host}")
        return
    found = f"{spoken}, the certificate is not checked" if spoken else "off"
    if config.tunnel is not None:
        sheet.ok("tls", f"{found}, inside the tunnel")
    elif is_loopback(config.host):
        sheet.ok("tls", f"{found}, on this machine")
    else:
        sheet.warn("tls", found, mend)

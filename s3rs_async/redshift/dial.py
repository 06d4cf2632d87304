"""How a target is reached: through its tunnel if it declares one, under its own name, verified.

TLS is checked against the cluster's own name although we connect to 127.0.0.1, by a context that
puts that name in. Why no session could be opened is told here; what happens to one is told where
it is used.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from ..errors import ConfigError, Error
from . import faults

if TYPE_CHECKING:
    from pathlib import Path

    from ..config import TargetConfig
    from ..tunnel import Bastions

CONNECT_SECONDS: Final = 30
STATEMENT_SECONDS: Final = 600
APPLICATION: Final = "s3rs"


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # the driver has no types
    """asyncpg's connection, with the only reset that Redshift takes."""

    __slots__ = ()

    def get_reset_query(self) -> str:
        """What to send when a connection is given back."""
        return "RESET ALL;"


class _NamedContext(ssl.SSLContext):
    """A TLS context that asks for the cluster's name whatever address was dialled."""

    expected_name: str

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - the standard library's signature
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """The standard wrap, with the name that the certificate must have."""
        del server_hostname
        return super().wrap_bio(incoming, outgoing, server_side, self.expected_name, session)


@dataclass(frozen=True, slots=True)
class Dial:
    """The way to one target: each call is one fresh connection of the driver's."""

    name: str
    config: TargetConfig
    tls: ssl.SSLContext | None
    bastions: Bastions

    async def __call__(self) -> Any:  # noqa: ANN401 - the driver has no types
        """Connect and log in, or say why not."""
        host, port = await self._address()
        try:
            return await asyncpg.connect(
                host=host,
                port=port,
                user=self.config.user,
                password=self.config.password.get_secret_value(),
                database=self.config.database,
                ssl=self.tls or False,
                direct_tls=False,
                target_session_attrs="any",
                timeout=CONNECT_SECONDS,
                statement_cache_size=0,
                connection_class=_Connection,
                server_settings={
                    "application_name": APPLICATION,
                    "statement_timeout": str(STATEMENT_SECONDS * 1000),
                },
            )
        except asyncpg.PostgresConnectionError as error:
            raise await self._why(error) from error
        except asyncpg.PostgresError as error:
            known = faults.refused(error, self.name, self.config)
            if known is None:
                raise
            raise known from error
        except (asyncpg.InternalClientError, OSError, TimeoutError) as error:
            raise await self._why(error) from error

    async def _why(self, error: BaseException) -> Error:
        refusal, config = None, self.config
        if config.tunnel is not None and not isinstance(error, ssl.SSLError):
            refusal = await self.bastions.refusal(config.tunnel, config.host, config.port)
        return refusal or faults.unreachable(error, self.name, config)

    async def _address(self) -> tuple[str, int]:
        """Where to connect: the tunnel's near end, or the host where no tunnel is declared."""
        config = self.config
        if config.tunnel is None:
            return config.host, config.port
        near = await self.bastions.address(config.tunnel, config.host, config.port)
        return near.host, near.port


async def way_to(name: str, config: TargetConfig, bastions: Bastions) -> Dial:
    """The way to a target; its certificates are read now, nothing is connected to."""
    return Dial(name, config, await asyncio.to_thread(_tls, config), bastions)


def _tls(config: TargetConfig) -> ssl.SSLContext | None:
    match config.tls:
        case "off":
            return None
        case "require":
            blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            blind.check_hostname = False
            blind.verify_mode = ssl.CERT_NONE
            return blind
        case "verify":
            strict = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
            strict.expected_name = config.host
            _trust(strict, config.ca)
            return strict


def _trust(context: ssl.SSLContext, bundle: Path | None) -> None:
    if bundle is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return
    try:
        context.load_verify_locations(cafile=str(bundle))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "the target's ca bundle cannot be read",
            where="redshift",
            file=str(bundle),
            reason=faults.reason(error),
            hint="name a PEM file with the certificates that signed the cluster's",
        ) from error

"""TLS with a real server: verified by its CA and name, or refused."""

from __future__ import annotations

import datetime as dt
import ipaddress
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from s3rs_async.config import SourceConfig
from s3rs_async.errors import ConfigError
from s3rs_async.mysql.connection import Source
from s3rs_async.sandbox import mariadb

NOW = dt.datetime.now(dt.UTC)


def certificate(folder: Path, name: x509.GeneralName) -> Path:
    """A certificate that is its own CA, and its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - dt.timedelta(days=1))
        .not_valid_after(NOW + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "cert.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem


LOCAL = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.fixture
def pem(request: Any) -> Iterator[Path]:
    """A certificate and its key where the server's user, whoever that is, can read them."""
    with tempfile.TemporaryDirectory(prefix="s3rs-tls-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        made = certificate(folder, request.param)
        for file in folder.iterdir():
            file.chmod(0o644)
        yield made


@pytest.fixture
async def server(pem: Path) -> AsyncIterator[tuple[Any, Path]]:
    flags = [f"--ssl-cert={pem}", f"--ssl-key={pem.with_name('key.pem')}"]
    async with mariadb.private(flags=flags) as server:
        yield server, pem


def source(server: Any, tls: str, ca: Path | None) -> Source:
    config = SourceConfig(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        tls=tls,  # type: ignore[arg-type]
        ca=ca,
    )
    return Source("s", config)


async def cipher(of: Source) -> str | None:
    async with of.session(purpose="test") as session:
        ((_, name),) = await session.query("SHOW STATUS LIKE 'Ssl_cipher'")
        rows = [packets.rows async for packets in session.stream("SELECT REPEAT('x', 9000000)")]
        assert rows == [1]
        return name


@pytest.mark.parametrize("pem", [LOCAL], indirect=True)
async def test_a_verified_connection_is_encrypted(server: tuple[Any, Path]) -> None:
    running, pem = server
    assert await cipher(source(running, "verify", pem))
    assert await cipher(source(running, "require", None))
    assert not await cipher(source(running, "off", None))
    with pytest.raises(ConfigError, match="certificate was refused"):
        await cipher(source(running, "verify", None))


@pytest.mark.parametrize("pem", [x509.DNSName("elsewhere.example")], indirect=True)
async def test_a_certificate_for_another_name_is_refused(server: tuple[Any, Path]) -> None:
    running, pem = server
    with pytest.raises(ConfigError, match="certificate was refused") as caught:
        await cipher(source(running, "verify", pem))
    assert "name" in caught.value.hint

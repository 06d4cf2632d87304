"""The sandbox's keys: a private CA with one server certificate, and the SSH keys of the bastion.

Everything is made anew for each sandbox and lies in a folder for our eyes alone. The certificate
names the stand-in as its clients know it, behind the bastion, and also by its address, so that a
client may verify it fully either way. The extensions are those that strict verifiers ask for:
key usage, and the key identifiers of both sides.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .. import clock

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_VALID = dt.timedelta(days=30)
_SKEW = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a server's certificate, and of the CA that its clients are given."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An SSH key: the private one's file, and the public one's file and text."""

    private: Path
    public: Path
    line: str


def certificate(folder: Path, host: str) -> Certificate:
    """A new CA and a certificate of its making for the host, localhost and 127.0.0.1."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("s3rs sandbox CA")
    ca = (
        _builder(ca_name, ca_name, ca_key, ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    names = [x509.DNSName(host), x509.DNSName("localhost")]
    address = x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))
    leaf = (
        _builder(_name(host), ca_name, key, ca_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([*names, address]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    files = Certificate(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    files.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    files.certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    _write_private(files.key, key, serialization.PrivateFormat.PKCS8)
    return files


def key_pair(path: Path) -> KeyPair:
    """A new ed25519 key in OpenSSH's format."""
    key = ed25519.Ed25519PrivateKey.generate()
    encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    line = key.public_key().public_bytes(encoding, form).decode()
    pair = KeyPair(path, path.with_name(f"{path.name}.pub"), line)
    _write_private(pair.private, key, serialization.PrivateFormat.OpenSSH)
    pair.public.write_text(f"{line}\n")
    return pair


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.CertificateBuilder:
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    theirs = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(clock.utc_now() - _SKEW)
        .not_valid_after(clock.utc_now() + _VALID)
        .add_extension(own, critical=False)
        .add_extension(theirs, critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*allowed: str) -> x509.KeyUsage:
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: name in allowed for name in every})


def _write_private(path: Path, key: PrivateKeyTypes, form: serialization.PrivateFormat) -> None:
    text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    path.touch(mode=0o600)
    path.write_bytes(text)

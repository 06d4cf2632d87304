"""What the driver throws, said in our five kinds; above this border no exception of it is named.

The one question that matters for a conditional write is whether the request can have been carried
out. Only an answer of the store (4xx) or a connection that was never made says no. A time-out, a
reset or a 5xx says nothing, and that is an UnknownOutcomeError, which its author resolves by
reading. (The driver reports a connection reset in mid-answer as one that could not be made, so the
cause beneath is asked.) Messages carry the bucket, the endpoint and the code, never a key.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from botocore import exceptions as boto

from ..errors import ConfigError, Error, Fact, UnavailableError, UnknownOutcomeError
from .object import BusyError, MissingError, StaleError

_SETTINGS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.NoRegionError,
    boto.InvalidRegionError,
    boto.ParamValidationError,
    boto.SSLError,
)
_OTHER_REGION = (
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "IncorrectEndpoint",
)
_STALE_KEYS = ("ExpiredToken", "InvalidToken", "TokenRefreshRequired")
_HINTS = {
    "NoSuchBucket": "create the bucket, or correct s3.bucket",
    "InvalidAccessKeyId": "the access key is not known there: check the credentials",
    "SignatureDoesNotMatch": "the secret key does not fit the access key: check the credentials",
    "AccessDenied": "grant s3:GetObject, s3:PutObject, s3:AbortMultipartUpload and s3:ListBucket",
} | dict.fromkeys(_STALE_KEYS, "the session's credentials have run out: renew them")
_PASSING = (
    "RequestTimeTooSkewed",
    "RequestTimeout",
    "BadDigest",
    "SlowDown",
    "XAmzContentSHA256Mismatch",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Which store is spoken to, for messages."""

    bucket: str
    endpoint: str
    region: str

    def facts(self, key: str | None) -> dict[str, Fact]:
        """The context of every failure here."""
        return {"where": "s3", "bucket": self.bucket, "endpoint": self.endpoint, "key": key}


@contextmanager
def translated(place: Place, key: str | None, *, once: bool = False) -> Iterator[None]:
    """Raise the driver's failures as ours; `once` marks a write that must not be sent blindly."""
    try:
        yield
    except boto.ClientError as answer:
        raise _refused(answer, place, key, once=once) from answer
    except _SETTINGS as reason:
        raise _settings(reason, place, key) from reason
    except (boto.BotoCoreError, aiohttp.ClientError, TimeoutError) as reason:
        raise _broken(reason, place, key, once=once) from reason
    except KeyError as missing:  # not S3, or what stands before it: an answer without its ETag
        facts = place.facts(key) | {"field": str(missing.args[0])}
        raise _doubt("the store's answer lacks a field", facts, once=once) from missing


def code_of(answer: boto.ClientError) -> tuple[str, int]:
    """The store's error code and HTTP status."""
    error = answer.response.get("Error", {})
    status = answer.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error.get("Code", ""), status


def _refused(answer: boto.ClientError, place: Place, key: str | None, *, once: bool) -> Error:
    code, status = code_of(answer)
    facts: Any = place.facts(key) | {"code": code, "status": status}
    if status == 412 or code == "PreconditionFailed":  # noqa: PLR2004 - HTTP's own numbers
        return StaleError("the object is not as it was read", **facts)
    if status == 409:  # noqa: PLR2004
        return BusyError("another write of the object is under way", **facts)
    if status == 404 and code != "NoSuchBucket":  # noqa: PLR2004
        return MissingError("no such object", **facts)
    if code in _PASSING or status == 429:  # noqa: PLR2004
        return UnavailableError("the store asks to come again", hint=_clock_hint(code), **facts)
    if status >= 500:  # noqa: PLR2004
        return _doubt("the store failed", facts, once=once)
    return ConfigError("the store refused the request", hint=_hint(answer, place), **facts)


def _hint(answer: boto.ClientError, place: Place) -> str:
    code, status = code_of(answer)
    if code in _OTHER_REGION or status in (301, 307):
        headers = answer.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = headers.get("x-amz-bucket-region", "another one")
        return f"the bucket lies in region {region}, s3.region says {place.region}"
    if status in (401, 403) and code not in _HINTS:
        return _HINTS["AccessDenied"]
    return _HINTS.get(code, "check s3.bucket, s3.region and s3.endpoint")


def _clock_hint(code: str) -> str:
    return "set this machine's clock" if code == "RequestTimeTooSkewed" else ""


def _settings(reason: Exception, place: Place, key: str | None) -> ConfigError:
    hint = "give s3.access_key and s3.secret_key, AWS_PROFILE, or the role of the machine"
    if isinstance(reason, boto.SSLError):
        hint = "the endpoint's certificate is not trusted here: check its address and AWS_CA_BUNDLE"
    if isinstance(reason, boto.ParamValidationError | boto.NoRegionError | boto.InvalidRegionError):
        hint = "check s3.bucket, s3.prefix and s3.region"
    return ConfigError("s3 cannot be used as configured", hint=hint, **place.facts(key))


def _broken(reason: Exception, place: Place, key: str | None, *, once: bool) -> Error:
    facts = place.facts(key) | {"reason": type(reason).__name__}
    if _never_sent(reason):
        return UnavailableError(
            "the store cannot be reached", hint="check s3.endpoint and the network", **facts
        )
    return _doubt("the store's answer was lost", facts, once=once)


def _never_sent(reason: Exception) -> bool:
    if isinstance(reason, boto.EndpointConnectionError):
        return isinstance(reason.kwargs.get("error"), aiohttp.ClientConnectorError)
    return isinstance(reason, boto.ConnectTimeoutError | boto.ProxyConnectionError)


def _doubt(message: str, facts: dict[str, Fact], *, once: bool) -> Error:
    if once:
        return UnknownOutcomeError(message, hint="read the object to tell", **facts)
    return UnavailableError(message, hint="try again", **facts)

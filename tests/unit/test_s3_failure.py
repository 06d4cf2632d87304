from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from botocore import exceptions as boto

from s3rs_async.errors import ConfigError, Error, UnavailableError, UnknownOutcomeError
from s3rs_async.s3.failure import Place, translated
from s3rs_async.s3.object import BusyError, MissingError, StaleError

PLACE = Place("stage", "http://127.0.0.1:1", "us-east-1")


def answer(code: str, status: int, **headers: str) -> boto.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "the key AKIAEXAMPLE is wrong"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }
    return boto.ClientError(response, "PutObject")


def raised(reason: Exception, *, once: bool) -> Error:
    with pytest.raises(Error) as failure, translated(PLACE, "a/key", once=once):
        raise reason
    error = failure.value
    assert error.context["bucket"] == "stage"
    assert error.context["endpoint"] == "http://127.0.0.1:1"
    assert "AKIAEXAMPLE" not in f"{error} {error.hint}"
    return error


@pytest.mark.parametrize(
    ("reason", "kind", "hint"),
    [
        (answer("PreconditionFailed", 412), StaleError, ""),
        (answer("ConditionalRequestConflict", 409), BusyError, ""),
        (answer("NoSuchKey", 404), MissingError, ""),
        (answer("NoSuchUpload", 404), MissingError, ""),
        (answer("404", 404), MissingError, ""),
        (answer("NoSuchBucket", 404), ConfigError, "create the bucket"),
        (answer("AccessDenied", 403), ConfigError, "s3:PutObject"),
        (answer("403", 403), ConfigError, "s3:PutObject"),
        (answer("InvalidAccessKeyId", 403), ConfigError, "access key"),
        (answer("SignatureDoesNotMatch", 403), ConfigError, "secret key"),
        (answer("ExpiredToken", 400), ConfigError, "renew"),
        (answer("RequestTimeTooSkewed", 403), UnavailableError, "clock"),
        (answer("SlowDown", 503), UnavailableError, ""),
        (answer("TooManyRequests", 429), UnavailableError, ""),
        (answer("InvalidRequest", 400), ConfigError, "check"),
        (
            answer("PermanentRedirect", 301, **{"x-amz-bucket-region": "eu-west-1"}),
            ConfigError,
            "region eu-west-1, s3.region says us-east-1",
        ),
        (answer("AuthorizationHeaderMalformed", 400), ConfigError, "another one"),
        (boto.NoCredentialsError(), ConfigError, "AWS_PROFILE"),
        (boto.ParamValidationError(report="x"), ConfigError, "s3.bucket"),
        (boto.SSLError(endpoint_url="x", error="y"), ConfigError, "certificate"),
        (boto.ConnectTimeoutError(endpoint_url="x"), UnavailableError, "s3.endpoint"),
    ],
)
def test_a_clean_refusal_is_known_to_be_one(
    reason: Exception, kind: type[Error], hint: str
) -> None:
    for once in (False, True):
        error = raised(reason, once=once)
        assert type(error) is kind
        assert hint in error.hint


@pytest.mark.parametrize(
    "reason",
    [
        answer("InternalError", 500),
        answer("503", 503),
        boto.ReadTimeoutError(endpoint_url="x"),
        boto.ConnectionClosedError(endpoint_url="x"),
        boto.HTTPClientError(error="x"),
        KeyError("ETag"),
        boto.EndpointConnectionError(endpoint_url="x", error=aiohttp.ClientOSError(104, "reset")),
        aiohttp.ClientPayloadError("cut"),
        TimeoutError(),
    ],
)
def test_whatever_may_have_arrived_is_unknown_for_a_write_and_unavailable_else(
    reason: Exception,
) -> None:
    assert type(raised(reason, once=True)) is UnknownOutcomeError
    assert type(raised(reason, once=False)) is UnavailableError


def test_a_connection_that_was_never_made_carried_nothing_out() -> None:
    refused = aiohttp.ClientConnectorError(_key(), OSError(111, "refused"))
    reason = boto.EndpointConnectionError(endpoint_url="x", error=refused)
    assert type(raised(reason, once=True)) is UnavailableError


def _key() -> Any:
    return type("Key", (), {"host": "h", "port": 1, "ssl": None, "is_ssl": False})()

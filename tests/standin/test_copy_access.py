"""Who may read for a COPY, where the cluster has no role; and that values with keys do not tell."""

from __future__ import annotations

import pytest

from s3rs_async.sandbox.redshift.copying.copy import parse_copy
from s3rs_async.sandbox.redshift.copying.credentials import Credentials, StoreAccess, admit
from s3rs_async.sandbox.redshift.dialect.tokens import split
from s3rs_async.sandbox.redshift.faults import RedshiftError

pytestmark = pytest.mark.standin
KEYS = Credentials("", "AKIAID", "s3cret", "t0ken")


def access(*roles: str) -> StoreAccess:
    return StoreAccess("http://127.0.0.1:1", "us-east-1", "AKIAID", "s3cret", roles, "t0ken")


@pytest.mark.parametrize("role", ["arn:aws:iam::1:role/r", "default"])
def test_a_cluster_without_roles_takes_none(role: str) -> None:
    with pytest.raises(RedshiftError) as refused:
        admit(Credentials(role), access(), "")
    assert "code:      8001" in refused.value.detail(1)


def test_the_first_role_is_the_default_and_each_may_be_named() -> None:
    for role in ("default", "arn:one", "arn:two", "arn:two,arn:one", "arn:one, arn:two"):
        admit(Credentials(role), access("arn:one", "arn:two"), "")
    for role in ("arn:three", "arn:one,arn:three", "arn:one,", "arn:one,default", "ARN:ONE"):
        with pytest.raises(RedshiftError):
            admit(Credentials(role), access("arn:one", "arn:two"), "")


def test_temporary_keys_need_their_token() -> None:
    admit(KEYS, access(), "")
    for token in ("", "another"):
        with pytest.raises(RedshiftError, match="InvalidToken"):
            admit(Credentials("", "AKIAID", "s3cret", token), access(), "")


def test_what_is_no_arn_is_not_named() -> None:
    with pytest.raises(RedshiftError) as refused:
        admit(Credentials("aws_secret_access_key=s3cret"), access("arn:one"), "")
    assert "s3cret" not in refused.value.message


def test_values_with_keys_do_not_tell_them() -> None:
    keys = "ACCESS_KEY_ID 'AKIAID' SECRET_ACCESS_KEY 's3cret' SESSION_TOKEN 't0ken'"
    copy = parse_copy(split(f"COPY t FROM 's3://b/k' {keys} PARQUET")[0])
    assert copy.credentials == KEYS
    for shown in (repr(copy), repr(KEYS), repr(access())):
        assert not any(key in shown for key in ("AKIAID", "s3cret", "t0ken"))

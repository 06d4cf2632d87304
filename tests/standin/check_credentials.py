"""By whom COPY reads: roles, chains and keys (rule 5)."""

from __future__ import annotations

from tests.standin.check_copy import BOTH_PROTOCOLS, TABLE, TWO, fails_in
from tests.standin.checks import check
from tests.standin.site import Site

STRANGER = "arn:aws:iam::123456789012:role/stranger"
REFUSED = f"is not authorized to assume IAM Role {STRANGER}"


def copy_as(at: Site, given: str) -> str:
    return f"COPY t FROM '{at.uri('x')}' {given} FORMAT AS PARQUET"


def keys(at: Site) -> tuple[str, str]:
    """Keys that the S3 server knows: those of the check itself."""
    own = at.place.s3._request_signer._credentials.get_frozen_credentials()
    return own.access_key, own.secret_key


async def ready(at: Site) -> None:
    await at.run(TABLE)
    at.put("x", TWO)


async def loads(at: Site, given: str) -> None:
    await at.run(copy_as(at, given))
    assert await at.rows("SELECT count(*) FROM t") == [(2,)]


@check("5", BOTH_PROTOCOLS)
async def without_credentials_it_fails(at: Site, how: str) -> None:
    await ready(at)
    error = await fails_in(at, how, copy_as(at, ""))
    said = "COPY from this file format only accepts IAM_ROLE credentials."
    assert (error.sqlstate, error.message) == ("XX000", said)
    assert "code:      8001" in error.detail
    assert "xen_copy.cpp" in error.detail


@check("5a", BOTH_PROTOCOLS)
async def a_role_that_is_not_the_clusters_is_refused(at: Site, how: str) -> None:
    await ready(at)
    error = await fails_in(at, how, copy_as(at, f"IAM_ROLE '{STRANGER}'"))
    assert error.sqlstate == "XX000"
    assert error.message.endswith(REFUSED)
    assert "code:      8001" in error.detail


@check("5a")
async def an_empty_role_is_refused(at: Site) -> None:
    await ready(at)
    error = await at.fails(copy_as(at, "IAM_ROLE ''"))
    assert error.message == "IAM role is empty"


@check("5b")
async def the_default_role_is_taken(at: Site) -> None:
    await ready(at)
    await loads(at, "IAM_ROLE default")


@check("5c", only_here="a role that may assume itself")
async def roles_form_a_chain(at: Site) -> None:
    await ready(at)
    await loads(at, f"IAM_ROLE '{at.place.role},{at.place.role}'")


@check("5c")
async def each_role_of_a_chain_must_be_allowed(at: Site) -> None:
    await ready(at)
    error = await at.fails(copy_as(at, f"IAM_ROLE '{at.place.role},{STRANGER}'"))
    assert error.message.endswith(REFUSED)


@check("5d")
async def credentials_hold_a_role(at: Site) -> None:
    await ready(at)
    error = await at.fails(copy_as(at, f"CREDENTIALS 'aws_iam_role={STRANGER}'"))
    assert error.message.endswith(REFUSED)
    await loads(at, f"WITH CREDENTIALS AS 'aws_iam_role={at.place.role}'")


@check("5d")
async def credentials_hold_keys(at: Site) -> None:
    await ready(at)
    text = "CREDENTIALS 'aws_access_key_id={};aws_secret_access_key={}'"
    error = await at.fails(copy_as(at, text.format("AKIASTRANGER", "s")))
    assert "Error InvalidAccessKeyId" in error.message
    await loads(at, text.format(*keys(at)))


MALFORMED = [
    ("a word", "CREDENTIALS 'nonsense'"),
    ("nothing", "CREDENTIALS ''"),
    ("no role", "CREDENTIALS 'aws_iam_role='"),
    ("half of a pair", "CREDENTIALS 'aws_access_key_id=k'"),
    ("both", "CREDENTIALS 'aws_iam_role=r;aws_access_key_id=k;aws_secret_access_key=s'"),
    ("an id alone", "ACCESS_KEY_ID 'k'"),
    ("a secret alone", "SECRET_ACCESS_KEY 's'"),
]


@check("5e", MALFORMED)
async def credentials_of_another_form_are_refused(at: Site, given: str) -> None:
    await ready(at)
    error = await at.fails(copy_as(at, given))
    assert error.sqlstate == "XX000"
    assert error.message.startswith("Invalid credentials. Must be of the format: credentials")
    assert "code:      8001" in error.detail


def pair(key_id: str, secret: str, more: str = "") -> str:
    return f"ACCESS_KEY_ID '{key_id}' SECRET_ACCESS_KEY '{secret}' {more}"


@check("5f", BOTH_PROTOCOLS)
async def an_unknown_key_is_refused_in_s3s_words(at: Site, how: str) -> None:
    await ready(at)
    error = await fails_in(at, how, copy_as(at, pair("AKIASTRANGER", keys(at)[1])))
    assert error.sqlstate == "XX000"
    assert error.message.startswith("S3ServiceException:The AWS Access Key Id you provided does")
    assert "Status 403,Error InvalidAccessKeyId" in error.message
    assert "code:      8001" in error.detail
    assert f"Listing bucket={at.place.bucket} prefix={at.key('x')}" in error.detail


@check("5f")
async def a_secret_of_another_key_is_refused_in_s3s_words(at: Site) -> None:
    await ready(at)
    error = await at.fails(copy_as(at, pair(keys(at)[0], "another")))
    assert error.message.startswith("S3ServiceException:The request signature we calculated does")
    assert "Status 403,Error SignatureDoesNotMatch" in error.message
    assert "code:      8001" in error.detail


@check("5f")
async def a_strange_token_is_refused_in_s3s_words(at: Site) -> None:
    await ready(at)
    error = await at.fails(copy_as(at, pair(*keys(at), "SESSION_TOKEN 'another'")))
    assert "Error InvalidToken" in error.message
    assert "code:      8001" in error.detail


@check("5f", BOTH_PROTOCOLS, proves=False)
async def keys_that_s3_knows_are_taken(at: Site, how: str) -> None:
    await ready(at)
    await getattr(at.con, how)(copy_as(at, pair(*keys(at))))
    assert await at.rows("SELECT count(*) FROM t") == [(2,)]


@check("5g", [("keys", pair("k", "s")), ("credentials", "CREDENTIALS 'aws_iam_role=r'")])
async def a_role_and_keys_are_refused(at: Site, more: str) -> None:
    await ready(at)
    error = await at.fails(copy_as(at, f"IAM_ROLE '{at.place.role}' {more}"))
    assert (error.sqlstate, error.message) == ("42601", "conflicting or redundant options")

"""What a COPY may read with: a role, a chain of roles, or a pair of keys (rules 5 to 5h).

The stand-in reads with its own access to the private S3 server whatever the statement says; what
is given must only be right. A role must be one of those that the stand-in was started with, for a
real cluster has only the roles that are associated with it. Keys must be the S3 server's own.

A key never leaves this module again: it is compared, no message names it, `repr` hides it. A role
that is none may be a key in the wrong place, so only an ARN is named.
`without_secrets` is the text of a statement that somebody else may see, the backend above all,
which writes a statement that fails into its log.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..dialect.tokens import SECRETS, Edit, Statement, Token
from ..faults import RedshiftError, syntax_error
from ..rules import holds
from .scan import leader_error

_KEYS = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
_NAMES = ("aws_iam_role", "aws_access_key_id", "aws_secret_access_key", "token")
_TAKEN = [set(_NAMES[:1]), set(_NAMES[1:3]), set(_NAMES[1:])]
_FORMS = (
    "credentials 'aws_iam_role=...' or "
    "'aws_access_key_id=...;aws_secret_access_key=...[;token=...]'"
)
_UNKNOWN = "The AWS Access Key Id you provided does not exist in our records."
_UNEQUAL = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your key and signing method."
)
_STRANGE = "The provided token is malformed or otherwise invalid."


@dataclass(frozen=True, slots=True)
class StoreAccess:
    """How to reach the private S3 server, and the roles that a COPY may take for it."""

    endpoint: str
    region: str
    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    roles: tuple[str, ...] = ()
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a COPY was given: a role (`default`, one or a chain) or keys."""

    role: str = ""
    key_id: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


def _malformed() -> RedshiftError:
    message = f"Invalid credentials. Must be of the format: {_FORMS}"
    return leader_error("5e", message, 8001, "aws_credentials_parser.cpp:56")


def _well_formed(given: Mapping[str, str]) -> bool:
    return set(given) in _TAKEN and all(given.values())


def _parsed(text: str) -> Credentials:
    """The text after CREDENTIALS."""
    pairs = [part.partition("=") for part in text.split(";") if part]
    given = {name.strip(): value for name, _, value in pairs}
    if not _well_formed(given) and holds("5e"):
        raise _malformed()
    return Credentials(*(given.get(name, "") for name in _NAMES))


def read_credentials(values: Mapping[str, str]) -> Credentials:
    """The options of a COPY that say by whom it reads."""
    kinds = [name for name in ("IAM_ROLE", "CREDENTIALS") if name in values]
    kinds += ["KEYS"] if any(name in values for name in _KEYS) else []
    if len(kinds) > 1 and holds("5g"):
        raise RedshiftError("conflicting or redundant options", "42601", rule="5g")
    if "IAM_ROLE" in values:
        return Credentials(_named(values["IAM_ROLE"]))
    if "CREDENTIALS" in values:
        return _parsed(values["CREDENTIALS"]) if holds("5d") else Credentials()
    if not kinds:
        if holds("5"):
            message = "COPY from this file format only accepts IAM_ROLE credentials."
            raise leader_error("5", message, 8001, "xen_copy.cpp:159")
        return Credentials()
    given = [values.get(name, "") for name in _KEYS]
    if not all(given[:2]) and holds("5e"):
        raise _malformed()
    return Credentials("", *given)


def _named(role: str) -> str:
    if not role and holds("5a"):
        raise leader_error("5a", "IAM role is empty", 8001, "xen_aws_credentials_mgr.cpp:411")
    return role


def _allowed(role: str, access: StoreAccess) -> None:
    if role not in access.roles:
        shown = role.partition(";")[0] if role.startswith("arn:") else "'...'"
        message = f"User is not authorized to assume IAM Role {shown}"
        raise leader_error("5a", message, 8001, "xen_aws_credentials_mgr.cpp:402")


def _assume(role: str, access: StoreAccess) -> None:
    if role == "default" and holds("5b"):
        if not access.roles:
            message = "no default IAM role is associated with the cluster"
            raise leader_error("5b", message, 8001, "xen_aws_credentials_mgr.cpp:402")
        return
    chain = role.split(",") if holds("5c") else [role]
    for link in chain:
        if holds("5a"):
            _allowed(link.strip(), access)


def _same(given: str, real: str) -> bool:
    return hmac.compare_digest(given.encode(), real.encode())


def _sign(given: Credentials, access: StoreAccess, context: str) -> None:
    for one, real, status, error, message in (
        (given.key_id, access.key_id, 403, "InvalidAccessKeyId", _UNKNOWN),
        (given.secret, access.secret, 403, "SignatureDoesNotMatch", _UNEQUAL),
        (given.token, access.token, 400, "InvalidToken", _STRANGE),
    ):
        if not _same(one, real) and holds("5f"):
            said = f"S3ServiceException:{message},Status {status},Error {error},Rid 0,CanRetry 1"
            raise leader_error("5f", said, 8001, "s3_utility.cpp:540", context)


def admit(given: Credentials, access: StoreAccess, context: str) -> None:
    """Let a COPY read, or say who will not; `context` is what it wanted to list."""
    if given.role:
        _assume(given.role, access)
    elif given.key_id:
        _sign(given, access, context)


def _holds_text(tokens: tuple[Token, ...]) -> bool:
    """Whether a text follows the word for a secret."""
    after = [token for token in tokens[1:3] if token.word != "AS"]
    return bool(after) and after[0].kind == "string"


def without_secrets(statement: Statement) -> str:
    """A COPY as far as it has no keys; no text is left either, for a word may be misspelt."""
    end = next((token.start for token in statement.tokens if token.word in SECRETS), None)
    end = len(statement.text) if end is None else end
    texts = [token for token in statement.tokens if token.kind == "string" and token.end <= end]
    streams = any(token.word in ("STDIN", "STDOUT") for token in statement.tokens)
    edits = [] if streams else [Edit.of(token, "'***'") for token in texts]
    return statement.edited([*edits, Edit(end, len(statement.text), "")])


def refuse_secrets(statement: Statement) -> None:
    """No statement but COPY takes keys: one that holds some must not reach the backend's log."""
    for index, token in enumerate(statement.tokens):
        if token.word in SECRETS and _holds_text(statement.tokens[index : index + 3]):
            raise syntax_error(token.text, "4s")

"""argv → service → exit code: each command imports what it needs itself.

Data goes to stdout, everything else (logs, progress, errors) to stderr. An expected failure is one
line of error and one of hint; a bug keeps its traceback, without locals, since those hold secrets.
`output` has the only print; what is in the other modules is one command or a few that belong
together.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from .. import __version__
from ..errors import ConfigError, Error, ExitCode
from .backfill import backfill
from .check import config, doctor
from .counts import counts
from .daemon import daemon
from .output import complain, tell
from .plan import plan
from .private import demo, sandbox
from .s3clean import s3clean
from .status import status
from .sync import sync
from .verify import verify
from .watermark import watermark

__all__ = ["cli", "run"]


def run(argv: Sequence[str]) -> int:
    """Run one command; the process's exit code."""
    try:
        code = cli.main(list(argv), prog_name="s3rs", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        complain(error.format_message())
        return ExitCode.USAGE
    except click.ClickException as error:
        tell(_usage(error))
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except Error as error:
        tell(error)
        return error.exit_code
    return int(code or 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="s3rs")
def cli() -> None:
    """Bring MySQL tables to Redshift by way of parquet on S3, exactly once in effect."""


for command in (
    *(sync, backfill, verify, plan, daemon, status, watermark, counts, s3clean),
    *(config, doctor, sandbox, demo),
):
    cli.add_command(command)


def _usage(error: click.ClickException) -> ConfigError:
    """A complaint of the command line's parser in our two lines."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"see {context.command_path if context else 's3rs'} --help"
    message = error.format_message()
    if isinstance(error, click.NoSuchOption | click.NoSuchCommand):
        message = error.message
        near = error.possibilities or ()
        hint = f"did you mean {' or '.join(near)}? {hint}" if near else hint
    return ConfigError(f"{message[:1].lower()}{message[1:]}".rstrip("."), hint=hint)

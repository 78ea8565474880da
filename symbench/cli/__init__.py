"""The command line: parse, call, print, exit status."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from symbench import __version__
from symbench.cli import judge, look, run
from symbench.cli.base import EXIT_BUG, EXIT_INTERRUPTED, cli
from symbench.errors import SymbenchError

__all__ = ["cli", "judge", "look", "main", "run"]


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the codes of README; click's own handling would exit 1 for too much."""
    sys.exit(_status(arguments))


def _status(arguments: list[str] | None) -> int:
    try:
        result = cli.main(args=arguments, prog_name="symbench", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        asked_nothing = type(error).__name__ == "NoArgsIsHelpError"  # click before 8.2 has no such class
        error.show(file=sys.stdout if asked_nothing else None)
        return 0 if asked_nothing else 2
    except SymbenchError as error:
        from symbench.terminal import printable

        click.echo("\n".join(printable(str(problem)) for problem in error.problems), err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("aborted; what was finished is kept, and the same command resumes", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads any more: not an error
        return 0
    except (Exception, SystemExit):
        if type(sys.stdout).__name__.endswith(
            "PacifyFlushWrapper"
        ):  # what click leaves behind for a reader that went away
            return 0
        _report_bug()
        return EXIT_BUG


def _report_bug() -> None:
    import platform
    import traceback

    click.echo(traceback.format_exc(), err=True)
    click.echo(
        f"This is a bug of symbench {__version__} (Python {platform.python_version()}, {platform.system()}). "
        "Please report it with the lines above and your suite. What was finished is kept.",
        err=True,
    )

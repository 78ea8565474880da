"""The command line: parse, call, print, exit status."""

from __future__ import annotations

import errno
import os
import sys
from typing import NoReturn

import click

from symbench import __version__
from symbench.base.errors import SymbenchError
from symbench.face.cli import complete, judge, look, run
from symbench.face.cli.base import EXIT_BUG, EXIT_INTERRUPTED, EXIT_WRONG, Verdict, cli
from symbench.face.cli.streams import final_status, take_streams
from symbench.face.terminal import tell

__all__ = ["cli", "complete", "judge", "look", "main", "run"]

REFUSED = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM, errno.EMFILE,
        errno.ENFILE, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOMEM,
    }
)  # fmt: skip
"""What a machine says where it, and no bug of ours, is in the way."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the codes of README; click's own handling would exit 1 for too much."""
    results = take_streams()
    try:
        status = _status(arguments)
    except KeyboardInterrupt:  # once more, while something was told
        status = EXIT_INTERRUPTED
    except BaseException:
        status = EXIT_BUG
    sys.exit(final_status(status, results, stands=isinstance(status, Verdict)))


def _status(arguments: list[str] | None) -> int:
    """What the command line comes to: 1 for a verdict alone, though Python itself would exit so for much else."""
    try:
        result = cli.main(args=arguments, prog_name=complete.PROGRAM, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        asked_nothing = type(error).__name__ == "NoArgsIsHelpError"  # click before 8.2 has no such class
        error.show(file=sys.stdout if asked_nothing else sys.stderr)
        return 0 if asked_nothing else EXIT_WRONG
    except SymbenchError as error:
        tell("\n".join(str(problem) for problem in error.problems))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        tell("aborted; what was finished is kept, and the same command resumes")
        return EXIT_INTERRUPTED
    except OSError as error:
        if error.errno not in REFUSED:
            return _bug()
        tell(f"{error.filename or 'a file'}: {error.strerror}. What was finished is kept.")
        return EXIT_WRONG
    except SystemExit as error:
        if complete.VARIABLE in os.environ:  # how click leaves when it has answered a shell's question
            return EXIT_WRONG if error.code else 0
        return _bug()
    except BaseException:  # whatever it is: Python would exit 1
        return _bug()


def _bug() -> int:
    import platform
    import traceback

    tell(traceback.format_exc())
    tell(
        f"This is a bug of symbench {__version__} (Python {platform.python_version()}, {platform.system()}). "
        "Please report it with the lines above and your suite. What was finished is kept."
    )
    return EXIT_BUG

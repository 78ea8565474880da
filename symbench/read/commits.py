"""Baselines as they stand in a commit."""

from __future__ import annotations

import subprocess

from symbench.base.errors import ConfigError, Problem


class NoBaseline(ConfigError):
    """There is no baseline where one was looked for."""


def of_commit(ref: str, path: str, where: str) -> bytes:
    """A file's bytes as of a commit; the path is relative to the working folder, or else to the repository."""
    for place in (f"./{path}", path):
        command = ["git", "show", "--end-of-options", f"{ref}:{place}"]
        try:
            done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(Problem(where, f"git cannot be run: {error}")) from error
        if done.returncode == 0:
            return done.stdout
    reason = "".join(done.stderr.decode(errors="replace").strip().splitlines()[:1])
    remedy = "CI often checks out one commit only: fetch the branch first."
    raise NoBaseline(Problem(where, f"git has no such file: {reason}", "git:REF:PATH", remedy))

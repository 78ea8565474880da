"""Manifests of runs, checked."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from symbench.base.errors import ConfigError, Problem, quoted
from symbench.base.records import RUN_VERSION, Manifest
from symbench.measure.store.files import is_sealed


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file, checked.

    Raises:
        ConfigError: it is broken, altered, another run's, or written by a later symbench.
    """
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error}", "a manifest")) from error
    # Asked before the whole is validated: of a later version's file every other message would mislead.
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > RUN_VERSION:
        raise ConfigError(
            Problem(str(path), f"schema_version is {version}", f"at most {RUN_VERSION}", "Upgrade symbench.")
        )
    try:
        manifest = Manifest.model_validate(data)
    except ValidationError as error:
        raise ConfigError(
            Problem(str(path), f"is no manifest: {error.errors()[0]['msg']}", f"schema_version {RUN_VERSION}")
        ) from error
    again = "Run the suite again: what is measured need not be measured anew."
    if not is_sealed(data):
        raise ConfigError(Problem(str(path), "is not what was written: its digest differs", None, again))
    if manifest.run != path.stem:  # what reports are written under is a name in this folder, whatever the file says
        raise ConfigError(Problem(str(path), f"is the manifest of {quoted(manifest.run)}", None, again))
    return manifest

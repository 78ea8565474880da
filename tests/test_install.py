"""What a user gets from ``pip install``: the console script, the template, the schemas, the report's template."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import ROOT


def test_an_installed_copy_works(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "symbench", source / "symbench", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    target = tmp_path / "site"
    pip = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(target), str(source)]
    subprocess.run([sys.executable, "-m", "pip", *pip], check=True, timeout=120)
    for name in ("face/template.yaml", "py.typed", "read/report/report.md.j2", "base/schemas/manifest-1.json"):
        assert (target / "symbench" / name).is_file(), name
    environment = {**os.environ, "PYTHONPATH": str(target)}
    script = [sys.executable, str(target / "bin" / "symbench")]
    done = subprocess.run(
        [*script, "--version"], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60, check=True
    )
    assert done.stdout.startswith("symbench, version ")
    subprocess.run([*script, "new", "s.yaml"], env=environment, cwd=tmp_path, timeout=60, check=True)
    assert (tmp_path / "s.yaml").is_file()
    module = subprocess.run(
        [sys.executable, "-m", "symbench", "--version"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=60,
        check=True,
    )
    assert module.stdout == done.stdout

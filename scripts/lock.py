"""Write and check the lock files: every package that the environment needs, at one exact version.

    python scripts/lock.py            resolve anew and write all files
    python scripts/lock.py --check    say whether they are up to date; needs no network

`requirements.lock` has the package's own dependencies and the group `dev`; `requirements-docs.lock` adds the
group `docs`, which is large, and `requirements-gym.lock` the group `gym`, for which a C compiler is needed. None names an
index: that is the user's setting.
"""

import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {"requirements.lock": ("dev",), "requirements-docs.lock": ("docs",), "requirements-gym.lock": ("gym",)}
HEAD = "# Written by `make lock` for Python {python} on {system}. Do not edit.\n# wanted: {digest}\n"


def wanted(project: Mapping[str, Any], groups: tuple[str, ...]) -> list[str]:
    """Return the direct requirements of the package and of these groups, normalised and sorted."""
    listed = [*project["project"]["dependencies"]] if "dev" in groups else []
    for group in groups:
        listed += project["dependency-groups"][group]
    return sorted(str(Requirement(text)) for text in listed)


def digest(requirements: list[str]) -> str:
    """Return the fingerprint that a lock file carries of what it was made for."""
    return hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:16]


def resolve(requirements: list[str], constraints: list[Path]) -> dict[str, str]:
    """Ask pip for one version of everything that these requirements need; what other locks have stays as it is there."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--report", str(report), *(f"--constraint={path}" for path in constraints), *requirements]
        subprocess.run(command, check=True)
        found = json.loads(report.read_text())["install"]
    versions = {canonicalize_name(item["metadata"]["name"]): item["metadata"]["version"] for item in found}
    return dict(sorted(versions.items()))


def pins(text: str) -> dict[str, str]:
    """Return the version of every package that a lock file lists."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)$", text, re.MULTILINE))


def complaints(text: str, requirements: list[str], installed: Mapping[str, str]) -> list[str]:
    """Return what is wrong with a lock file; `installed` is what lies in the environment."""
    found: list[str] = []
    pinned = pins(text)
    if f"# wanted: {digest(requirements)}\n" not in text:
        found.append("it was made for other requirements than pyproject.toml has")
    for item in map(Requirement, requirements):
        version = pinned.get(canonicalize_name(item.name))
        if version is None:
            found.append(f"{item} is not in it")
        elif not item.specifier.contains(version, prereleases=True):
            found.append(f"{item} does not allow {version}")
    found += [
        f"{name} {installed[name]} is installed, not {version}"
        for name, version in pinned.items()
        if installed.get(name, version) != version
    ]
    if re.search(r"https?://|--|file:", "\n".join(text.splitlines()[2:])):
        found.append("it names an index, a file or an option")
    return found


def main(arguments: list[str]) -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    installed = {str(canonicalize_name(d.name)): d.version for d in importlib.metadata.distributions()}
    failed, previous = 0, list[Path]()
    for name, groups in LOCKS.items():
        path, requirements = ROOT / name, wanted(project, groups)
        if arguments == ["--check"]:
            text = path.read_text() if path.exists() else ""
            for complaint in complaints(text, requirements, installed):
                failed = 1
                print(f"{name}: {complaint}; run `make lock`, then `make setup`")
        else:
            python = ".".join(map(str, sys.version_info[:2]))
            head = HEAD.format(python=python, system=sys.platform, digest=digest(requirements))
            lines = [f"{package}=={version}\n" for package, version in resolve(requirements, previous).items()]
            path.write_text(head + "".join(lines))
            print(f"{name}: {len(lines)} packages")
        previous.append(path)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

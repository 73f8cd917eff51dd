"""What `pip install` puts on a disk: direct dependencies, and MB without byte code."""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from benchmarks.measure import Report

ROOT = Path(__file__).parent.parent
OWN_TOOLS = ("pip", "setuptools", "wheel")  # what a new environment has before anything is installed


def sizes(site: Path) -> tuple[int, int, int]:
    """Return the bytes of the files of an environment, of its byte code, and how many packages it has."""
    files = byte_code = packages = 0
    for path in site.rglob("*"):
        first = path.relative_to(site).parts[0]
        if first.partition("-")[0].lower() in (*OWN_TOOLS, "_distutils_hack", "pkg_resources"):
            continue
        if path.is_dir() and path.suffix == ".dist-info" and path.parent == site:
            packages += 1
        if path.is_file() and path.suffix == ".pyc":
            byte_code += path.stat().st_size
        elif path.is_file():
            files += path.stat().st_size
    return files, byte_code, packages


def installed(folder: Path) -> Path | str:
    """Install the package into a new environment; return its folder of packages, or why that cannot be done."""
    python = folder / "bin" / "python"
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", *quiet, "--no-compile", str(ROOT)],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        except subprocess.TimeoutExpired:
            return "pip took more than ten minutes"
        if done.returncode:
            return (done.stderr.strip() or done.stdout.strip() or "pip failed").splitlines()[-1][:160]
    return next((folder / "lib").glob("python*/site-packages"))


def measure(report: Report) -> None:
    """Print dependencies and megabytes."""
    report.title("size", "the base install, without extras, in a new environment")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    report.judged("direct dependencies", len(project["dependencies"]), "packages", most=5, ratio=True)
    with tempfile.TemporaryDirectory() as folder:
        site = installed(Path(folder))
        if isinstance(site, str):
            report.skipped("megabytes", site)
            return
        files, _, packages = sizes(site)
        report.judged("files without byte code", files / 1e6, "MB", most=20, ratio=True)
        report.shown("packages, this one included", packages, "packages")
        own = sum(path.stat().st_size for path in (site / "stratagem").rglob("*") if path.is_file())
        report.shown("of it: stratagem itself", own / 1e6, "MB")
        python = site.parents[2] / "bin" / "python"
        subprocess.run([str(python), "-m", "compileall", "-q", str(site)], capture_output=True, check=False)
        files, byte_code, _ = sizes(site)
        report.judged("files with byte code", (files + byte_code) / 1e6, "MB", most=30, ratio=True)

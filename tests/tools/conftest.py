"""A folder with files, and the built-in tools over it."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import Observation
from stratagem.tools.builtin import builtin


class Folder:
    """Files beneath a root, and the tools that read them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tools = {tool.name: tool for tool in builtin([path])}

    def write(self, name: str, content: str | bytes) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def database(self, name: str, *statements: str) -> Path:
        file = self.path / name
        connection = sqlite3.connect(file)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        return file

    async def __call__(self, tool: str, **arguments: Any) -> Observation:
        return await self.tools[tool].perform(arguments)

    async def fails(self, tool: str, **arguments: Any) -> str:
        seen = await self(tool, **arguments)
        assert seen.failed, seen.text
        assert str(self.path) not in seen.text
        return seen.text


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    root = tmp_path / "root"
    root.mkdir()
    return Folder(root)

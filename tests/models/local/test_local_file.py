"""What is read from the head of a file of weights."""

import contextlib
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.errors import UsageError
from stratagem.models.local_file import facts_of
from stratagem.models.local_server import sizes
from tests.models.local._gguf import CHATML, USUAL, head, written


def test_a_head_says_what_is_needed_to_open_its_model(tmp_path: Path) -> None:
    facts = facts_of(written(tmp_path / "m.gguf"))
    assert (facts.architecture, facts.context, facts.template) == ("llama", 2048, CHATML)
    assert (facts.bos, facts.eos) == ("<s>", "</s>")
    assert facts.marks == ("<s>", "</s>", "<end_of_turn>", "<|im_end|>")
    assert facts.token_bytes == 2 * (2 * 2) * (16 + 16)  # bytes of a number, heads of all layers, key and value


def test_heads_that_differ_from_layer_to_layer_are_added_up(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"llama__attention__head_count_kv": [1, 3], "llama__attention__key_length": 20}
    assert facts_of(written(tmp_path / "m.gguf", **changes)).token_bytes == 2 * (1 + 3) * (20 + 16)


def test_a_file_without_a_chat_template_is_a_model(tmp_path: Path) -> None:
    assert facts_of(written(tmp_path / "m.gguf", tokenizer__chat_template=None)).template == ""


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"hello, world, this is no model", "it does not begin as one"),
        (head(USUAL)[:-9], "it ends too early"),
        (head(USUAL, version=1), "its version is 1, and 2 and 3 can be read"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "its head is damaged"),
        (head({**USUAL, "llama.context_length": "many"}), "invalid literal"),
        (head({"general.architecture": "llama"}), "it does not say its block count"),
        (head({"general.name": "x"}), "its head is damaged"),
    ],
)
def test_what_is_no_model_is_refused_with_the_reason(tmp_path: Path, data: bytes, why: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="is no GGUF file of a language model") as caught:
        facts_of(path)
    assert why in str(caught.value)


def test_an_empty_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").touch()
    with pytest.raises(UsageError, match="is no GGUF file"):
        facts_of(tmp_path / "m.gguf")


@given(st.integers(0, len(head(USUAL)) - 1), st.binary(min_size=1, max_size=9))
def test_no_damage_does_anything_but_say_so(tmp_path_factory: pytest.TempPathFactory, at: int, other: bytes) -> None:
    data = bytearray(head(USUAL))
    data[at : at + len(other)] = other
    path = tmp_path_factory.mktemp("damaged") / "m.gguf"
    path.write_bytes(data)
    with contextlib.suppress(UsageError):
        assert facts_of(path).token_bytes >= 1


@given(st.integers(1, 10_000_000), st.integers(1, 10_000_000))
def test_context_and_slots_keep_to_the_memory_they_may_have(context: int, token_bytes: int) -> None:
    tokens, slots = sizes(context, token_bytes)
    assert tokens <= max(256, context)
    assert 1 <= slots <= 4
    assert tokens * token_bytes <= 2 << 30 or tokens == 256
    assert slots == 1 or slots * tokens * token_bytes <= 512 << 20

"""Writes heads of GGUF files: what `facts_of` reads, without the weights."""

import struct
from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
WITH_TOOLS = "{% if tools %}{{ tools | tojson }}\n{% endif %}" + CHATML
USUAL: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.context_length": 2048,
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["<s>", "</s>", "a", "<end_of_turn>", "<|im_end|>"],
    "tokenizer.ggml.token_type": [3, 3, 1, 3, 3],
    "tokenizer.ggml.scores": [0.0, -1.0, -2.0, -3.0, -4.0],
    "tokenizer.ggml.bos_token_id": 0,
    "tokenizer.ggml.eos_token_id": 1,
    "tokenizer.chat_template": CHATML,
}


def head(facts: dict[str, Any], *, version: int = 3) -> bytes:
    """Return the head of a file that says these facts."""
    entries = b"".join(_text(name) + _value(value) for name, value in facts.items())
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(facts)) + entries


def written(path: Path, **changes: Any) -> Path:
    """Write the usual head with some facts changed; None leaves one out."""
    facts = {**USUAL, **{name.replace("__", "."): value for name, value in changes.items()}}
    path.write_bytes(head({name: value for name, value in facts.items() if value is not None}))
    return path


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    begin = struct.pack("<I", 9)
    if isinstance(value[0], str):
        return begin + struct.pack("<IQ", 8, len(value)) + b"".join(map(_text, value))
    kind, form = (5, "i") if isinstance(value[0], int) else (6, "f")
    return begin + struct.pack(f"<IQ{len(value)}{form}", kind, len(value), *value)

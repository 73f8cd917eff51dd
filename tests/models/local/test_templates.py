"""Chat templates, filled by Jinja alone. The templates here are ours, of forms that model makers publish."""

import datetime
from typing import Any

import pytest

from stratagem.errors import UsageError
from stratagem.models.templates import Template
from tests.models.local._gguf import CHATML, WITH_TOOLS

LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] + '\\n\\n' %}"
    "{% set turns = messages[1:] %}{% else %}{% set system = '' %}{% set turns = messages %}{% endif %}"
    "{% for message in turns %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + (system if loop.last else '') + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('there is no system role') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' }}"
    "{{ message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "2+2?"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "And 3+3?"},
]
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "calculate", "parameters": {}}}


@pytest.mark.works("IN07")
@pytest.mark.parametrize(
    ("text", "marks", "talk", "read"),
    [
        (
            CHATML, ("", ""), TALK,
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n"
            "<|im_start|>assistant\n4<|im_end|>\n<|im_start|>user\nAnd 3+3?<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            LLAMA3, ("<|begin_of_text|>", "<|eot_id|>"), TALK,
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\n2+2?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n4<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nAnd 3+3?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (
            MISTRAL, ("<s>", "</s>"), TALK,
            "<s>[INST] 2+2? [/INST] 4</s>[INST] Be brief.\n\nAnd 3+3? [/INST]",
        ),
        (
            GEMMA, ("<bos>", "<eos>"), TALK[1:],
            "<bos><start_of_turn>user\n2+2?<end_of_turn>\n<start_of_turn>model\n4<end_of_turn>\n"
            "<start_of_turn>user\nAnd 3+3?<end_of_turn>\n<start_of_turn>model\n",
        ),
    ],
    ids=["ChatML", "Llama 3", "Mistral", "Gemma"],
)  # fmt: skip
def test_the_known_forms_come_out_as_their_models_read_them(
    text: str, marks: tuple[str, str], talk: list[dict[str, str]], read: str
) -> None:
    assert Template(text, *marks).filled(talk) == read


def test_a_conversation_that_is_over_asks_for_no_reply() -> None:
    assert Template(CHATML).filled(TALK[1:2], begins=False) == "<|im_start|>user\n2+2?<|im_end|>\n"


@pytest.mark.parametrize(("text", "talk", "why"), [
    (GEMMA, TALK, "there is no system role"),
    (MISTRAL, [TALK[1], TALK[3]], "roles must alternate"),
    ("{{ messages[0]['content'].foo.bar }}", TALK, "has no attribute"),
    ("{{ 1 // 0 }}", TALK, "zero"),
])  # fmt: skip
def test_what_a_template_does_not_take_is_said_in_its_words(text: str, talk: Any, why: str) -> None:
    with pytest.raises(UsageError, match="does not take this conversation") as caught:
        Template(text).filled(talk)
    assert why in str(caught.value)


def test_a_text_that_is_no_template_is_refused() -> None:
    with pytest.raises(UsageError, match="the chat template cannot be read"):
        Template("{% for %}")


def test_a_template_reaches_nothing_but_what_it_is_given() -> None:
    with pytest.raises(UsageError, match="unsafe"):
        Template("{{ messages.__class__.__mro__[1].__subclasses__() }}").filled(TALK)


@pytest.mark.parametrize(("text", "takes"), [
    (WITH_TOOLS, True), (CHATML, False), ("{% if tools %}{{ raise_exception('tools') }}{% endif %}", False),
])  # fmt: skip
def test_a_template_takes_tools_if_it_shows_them(text: str, takes: bool) -> None:
    assert Template(text).takes_tools is takes


def test_tools_are_shown_as_json_without_the_escapes_of_html() -> None:
    tool = {**TOOL, "about": "<a> & 'b' – c"}
    assert "<a> & 'b' – c" in Template(WITH_TOOLS).filled(TALK, tools=[tool])


def test_a_template_that_states_the_date_is_told_it() -> None:
    text = "{{ strftime_now('%d %b %Y') }}"
    assert Template(text).filled(TALK, today=datetime.date(2026, 11, 26)) == "26 Nov 2026"
    assert Template(text).filled(TALK) == "01 Jan 2025"


def test_a_template_may_leave_a_loop() -> None:
    assert Template("{% for m in messages %}{{ m.role }}{% break %}{% endfor %}").filled(TALK) == "system"

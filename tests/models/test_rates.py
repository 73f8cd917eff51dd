"""What rate headers say, and how buckets follow them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.errors import RateLimited, UsageError
from stratagem.models.limits import FOREVER, Gate, Limits, limits_of
from stratagem.models.rates import Bucket, Told, seconds_of, told
from tests.conftest import HandClock
from tests.models._backend import Gated, fails, said

WALL = 1_700_000_000.0


def openai(kind: str, limit: int, remaining: int, reset: str) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{kind}": str(limit), f"x-ratelimit-remaining-{kind}": str(remaining),
        f"x-ratelimit-reset-{kind}": reset,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360), ("120ms", 0.12), ("1h2m3.5s", 3723.5), ("2m59.56s", 179.56), ("1d", 86400), ("12", 12),
        ("0.25", 0.25), ("500us", 0.0005), ("2023-11-14T22:13:30Z", 10), ("2023-11-14T23:13:30+01:00", 10),
        ("2023-11-14T22:13:10Z", 0), ("2023-11-14T22:13:30", 10), ("", None), ("soon", None), ("6m0", None), ("-5", None),
    ],
)  # fmt: skip
def test_a_reset_is_read_in_every_form_that_is_known(text: str, seconds: float | None) -> None:
    found = seconds_of(text, "", WALL)
    assert found == seconds if seconds is None else found == pytest.approx(seconds)


def test_a_date_is_counted_from_the_servers_own_time() -> None:
    assert seconds_of("2023-11-14T22:13:30Z", "Tue, 14 Nov 2023 22:13:25 GMT", WALL) == 5


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading(text: str) -> None:
    found = seconds_of(text, text, WALL)
    assert found is None or found >= 0
    assert set(told({"x-ratelimit-limit-tokens": text, "x-ratelimit-remaining-tokens": text}, WALL)) <= {"tokens"}


def test_headers_of_both_families_are_read_and_half_of_them_is_nothing() -> None:
    assert told(openai("requests", 60, 59, "1s") | openai("tokens", 1000, 2000, "6m0s"), WALL) == {
        "requests": Told(60, 59, 1), "tokens": Told(1000, 1000, 360)
    }  # fmt: skip
    anthropic = {
        "anthropic-ratelimit-tokens-limit": "50000", "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "2023-11-14T22:13:50Z",
    }  # fmt: skip
    assert told(anthropic, WALL) == {"tokens": Told(50000, 0, 30)}
    assert told({"x-ratelimit-limit-requests": "60", "x-ratelimit-reset-requests": "1s"}, WALL) == {}
    assert told({**openai("requests", 0, 0, "1s"), "retry-after": "1"}, WALL) == {}


def anthropic(**kinds: tuple[int, int]) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, (limit, remaining) in kinds.items():
        name = f"anthropic-ratelimit-{kind.replace('_', '-')}"
        found |= {
            f"{name}-limit": str(limit), f"{name}-remaining": str(remaining), f"{name}-reset": "2023-11-14T22:14:20Z",
        }  # fmt: skip
    return found


def test_prompts_and_replies_that_are_counted_apart_are_read_apart() -> None:
    headers = anthropic(requests=(50, 49), tokens=(90, 80), input_tokens=(60, 50), output_tokens=(30, 30))
    assert told(headers, WALL) == {
        "requests": Told(50, 49, 60), "tokens": Told(90, 80, 60), "input-tokens": Told(60, 50, 60),
        "output-tokens": Told(30, 30, 60),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kinds", "most", "waits"),
    [
        ({"requests": (61, 1)}, 1, 0),
        ({"requests": (60, 0)}, 1, 1),
        ({"tokens": (700, 100)}, 91, 0),  # 9 tokens of a prompt
        ({"tokens": (700, 100)}, 101, 1),
        ({"input_tokens": (700, 100)}, 5000, 0),
        ({"input_tokens": (68, 8)}, 1, 1),
        ({"output_tokens": (700, 100)}, 100, 0),
        ({"output_tokens": (700, 100)}, 110, 1),
        ({"input_tokens": (600, 600), "output_tokens": (700, 100)}, 120, 2),
        ({"requests": (60, 0), "input_tokens": (66, 6), "output_tokens": (660, 60)}, 80, 3),
    ],
)  # fmt: skip
async def test_each_kind_that_a_server_counts_is_waited_for(
    kinds: dict[str, tuple[int, int]], most: int, waits: float
) -> None:
    gated = Gated(said(headers=anthropic(**kinds)))
    await gated.ask("?")
    gated.backend.outcomes = [said()]
    await gated.ask("?", max_tokens=most)
    assert gated.slept == ([waits] if waits else [])


async def test_what_was_not_used_of_prompts_and_replies_goes_back_apart() -> None:
    gated = Gated(said(headers=anthropic(input_tokens=(700, 100), output_tokens=(700, 100))))
    await gated.ask("?")
    gated.backend.outcomes = [said(prompt_tokens=9, cached_tokens=7, completion_tokens=40)]
    await gated.ask("?", max_tokens=100)
    levels = {kind: bucket.level for kind, bucket in gated.gate._server.items()}
    assert levels == {"input-tokens": 98, "output-tokens": 60}
    assert gated.gate._under_way == (0, 0, 0)


def test_a_bucket_fills_evenly_and_what_is_too_large_waits_until_it_is_full() -> None:
    bucket = Bucket(60, 0)
    bucket.take(60, 0)
    assert bucket.wait_s(1, 0) == pytest.approx(1)
    assert bucket.wait_s(1, 1_000_000) == 0
    assert bucket.wait_s(1000, 1_000_000) == pytest.approx(59)
    bucket.take(-1000, 1_000_000)
    assert bucket.level == 60


@given(
    st.floats(1, 1e6), st.floats(0, 1), st.floats(0, 1e4), st.floats(0.001, 1e4), st.floats(-1e6, 1e6)
)  # fmt: skip
def test_a_servers_word_bounds_what_we_count(
    limit: float, share: float, under_way: float, reset: float, level: float
) -> None:
    bucket, remaining = Bucket(limit, 0), limit * share
    bucket.level = min(level, limit)
    bucket.hear(Told(limit, remaining, reset), under_way, 0)
    assert remaining - under_way <= bucket.level <= remaining
    assert bucket.wait_s(1, 0) < math.inf


async def test_requests_beyond_the_servers_remainder_wait_for_its_reset() -> None:
    gated = Gated(said(headers=openai("requests", 60, 1, "59s")))
    await gated.ask()
    gated.backend.outcomes = [said()]
    await gated.ask()
    assert gated.slept == []
    await gated.ask()
    assert gated.slept == [1]  # a sixtieth of what is missing, each second


async def test_tokens_beyond_the_servers_remainder_wait_and_what_was_not_used_goes_back() -> None:
    headers = openai("tokens", 6000, 100, "59s")
    gated = Gated(said(headers=headers))
    await gated.ask()
    gated.backend.outcomes = [said(prompt_tokens=5, completion_tokens=5)]
    await gated.ask(max_tokens=80)  # some 90, of which 10 are used
    assert gated.slept == []
    await gated.ask(max_tokens=70)
    assert gated.slept == []
    await gated.ask(max_tokens=1000)
    assert len(gated.slept) == 1
    assert 9 < gated.slept[0] < 10


async def test_what_headers_of_a_refusal_say_holds_for_the_next_attempt() -> None:
    gated = Gated(fails(RateLimited("slow"), slow=True, headers=openai("requests", 60, 0, "60s")), said())
    await gated.ask()
    assert gated.slept == [0.5, 0.5]  # the pause between attempts, then what is missing of a second per request


async def test_an_attempt_that_was_not_performed_gives_its_tokens_back() -> None:
    gated = Gated(fails(RateLimited("slow")), said(), limits=Limits(tpm=6000))
    await gated.ask(max_tokens=5900)
    assert gated.slept == [0.5]


async def test_a_wait_for_the_server_that_nobody_bears_is_said_at_once() -> None:
    gated = Gated(said(headers=openai("requests", 10, 0, "6000s")))
    await gated.ask()
    with pytest.raises(RateLimited, match="asked again in 600 s") as caught:
        await gated.ask()
    assert (caught.value.retry_after, gated.slept, gated.gate.inside) == (600, [], 0)


async def test_the_rates_of_a_user_hold_and_are_not_counted_as_time_of_a_call(clock: HandClock) -> None:
    gated = Gated(said(), limits=Limits(rpm=6), clock=clock)
    for _ in range(9):
        await gated.ask(timeout_s=5)
    assert gated.slept == [10, 10, 10]
    with pytest.raises(RateLimited, match="the rate that you have set allows a call in 10 s"):
        await gated.ask(within_s=9)
    assert gated.backend.seen == 9


async def test_a_users_limit_of_requests_at_once_is_there_from_the_beginning(clock: HandClock) -> None:
    async def sleep(_: float) -> None: ...

    gate = Gate(clock, sleep, 64, Limits(concurrency=40))
    assert gate.limit == 40
    for _ in range(200):
        gate.leave(await gate.enter(FOREVER), good=True)
    assert gate.limit == 40


def test_limits_are_checked_whichever_provider_they_are_for() -> None:
    assert limits_of({"openai": {"rpm": 5, "tpm": 0.5, "concurrency": 2}}, "openai") == Limits(5, 0.5, 2)
    assert limits_of({"openai": {"rpm": 5}}, "vllm") == limits_of(None, "vllm") == Limits()
    for wrong, match in (
        ({"openai": 5}, "limits of 'openai' are a table"),
        ({"openai": {"rmp": 5}}, "there is no 'rmp'"),
        ({"openai": {"rpm": 0}}, "rpm must be a number above 0, got 0"),
        ({"openai": {"rpm": True}}, "rpm must be a number above 0"),
        ({"openai": {"concurrency": 1.5}}, "concurrency must be a whole number from 1 up"),
    ):
        with pytest.raises(UsageError, match=match):
            limits_of(wrong, "vllm")


@pytest.mark.parametrize("text", ["9" * 400 + "s", "1" * 15, "9999-12-31T23:59:59Z"])
def test_a_reset_that_is_far_away_is_a_number_that_can_be_waited_for(text: str) -> None:
    found = seconds_of(text, "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", WALL)
    assert found is not None
    assert found <= 86_400 * 366

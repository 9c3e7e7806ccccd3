"""What waits is answered together; one that fails fails alone; closing answers what is waiting."""

import asyncio
import time

import pytest

from polyglance.serve.batching import Batcher, StoppingError


def doubled(batch):
    time.sleep(0.01)
    if any(question < 0 for question in batch):
        raise ValueError(f"negative among {batch}")
    return [2 * question for question in batch]


def test_concurrent_questions_share_batches_in_order():
    sizes = []

    async def ask():
        batcher = Batcher(doubled, most=8, wait_seconds=0.001, told=sizes.append)
        answers = await asyncio.gather(*(batcher.ask(n) for n in range(50)))
        await batcher.close()
        return answers

    assert asyncio.run(ask()) == [2 * n for n in range(50)]
    assert sum(sizes) == 50
    assert max(sizes) == 8


def test_somebody_alone_does_not_wait():
    async def ask():
        batcher = Batcher(lambda batch: batch, most=8, wait_seconds=60)
        return [await asyncio.wait_for(batcher.ask(n), 5) for n in range(3)]

    assert asyncio.run(ask()) == [0, 1, 2]


def test_a_question_that_fails_fails_alone():
    async def ask():
        batcher = Batcher(doubled, most=8, wait_seconds=0.001)
        return await asyncio.gather(*(batcher.ask(n) for n in (1, -1, 3)), return_exceptions=True)

    first, second, third = asyncio.run(ask())
    assert (first, third) == (2, 6)
    assert str(second) == "negative among [-1]"


def test_who_gave_up_costs_no_work():
    asked = []

    async def ask():
        def work(batch):
            asked.extend(batch)
            time.sleep(0.05)
            return batch

        batcher = Batcher(work, most=1, wait_seconds=0)
        tasks = [asyncio.create_task(batcher.ask(n)) for n in range(3)]
        await asyncio.sleep(0.01)
        tasks[1].cancel()
        assert await tasks[2] == 2

    asyncio.run(ask())
    assert asked == [0, 2]


def test_closing_answers_what_waits_and_takes_nothing_more():
    async def ask():
        batcher = Batcher(doubled, most=2, wait_seconds=0.001)
        tasks = [asyncio.create_task(batcher.ask(n)) for n in range(6)]
        await asyncio.sleep(0)
        await batcher.close()
        with pytest.raises(StoppingError):
            await batcher.ask(1)
        return await asyncio.gather(*tasks)

    assert asyncio.run(ask()) == [0, 2, 4, 6, 8, 10]

import asyncio
import threading

import pytest

from aeedge.service.calls import Calls
from aeedge_runtime.notices import notice
from aeedge_runtime.profiling import stage


def test_results_come_with_their_notices():
    def call():
        notice("a word")
        return 7

    calls = Calls(1)
    assert asyncio.run(calls.run(call)) == (7, ["a word"])
    calls.close()


def test_a_request_that_is_gone_ends_its_call_before_the_next_stage():
    entered, go, stages = threading.Event(), threading.Event(), []

    def call():
        entered.set()
        go.wait(30)
        with stage("encode"):
            stages.append("encode")

    async def run():
        task = asyncio.create_task(calls.run(call))
        await asyncio.to_thread(entered.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()

    calls = Calls(1)
    asyncio.run(run())
    calls.close()
    assert stages == []

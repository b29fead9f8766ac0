"""Many people at once: `python -m benchmarks.crowd port command 100 2.0` presses for two seconds.

It runs in a process of its own, so that whoever is measured does not wait for whoever measures.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from benchmarks.wire import command, one_request, submission

KINDS: dict[str, Callable[[int], bytes]] = {"command": command, "submission": submission}


@dataclass(frozen=True)
class Pressed:
    """What a crowd saw: answers a second, how long they took (seconds), and how many were no yes."""

    a_second: float
    p50: float
    p99: float
    worst: float
    refused: int
    answers: int


async def press(
    port: int, kind: str, people: int, seconds: float, each: int | None = None, first: int = 1
) -> Pressed:
    """So many people press again and again for so long, or `each` times; the presses count from `first`."""
    took: list[float] = []
    refused = 0
    numbers = itertools.count(first)
    until = time.perf_counter() + seconds

    async def somebody() -> None:
        nonlocal refused
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        left = itertools.count()
        while time.perf_counter() < until and (each is None or next(left) < each):
            request = KINDS[kind](next(numbers))
            began = time.perf_counter()
            writer.write(request)
            answer = await one_request(reader)
            took.append(time.perf_counter() - began)
            refused += answer is None or answer.target != "200"
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(somebody() for _ in range(people)))
    lasted = time.perf_counter() - began
    took.sort()
    return Pressed(
        a_second=len(took) / lasted,
        p50=statistics.median(took),
        p99=took[int(len(took) * 0.99)],
        worst=took[-1],
        refused=refused,
        answers=len(took),
    )


if __name__ == "__main__":
    import uvloop

    port, kind, people, seconds = sys.argv[1:5]
    each = int(sys.argv[5]) if len(sys.argv) > 5 else None
    first = int(sys.argv[6]) if len(sys.argv) > 6 else 1
    print(json.dumps(asdict(uvloop.run(press(int(port), kind, int(people), float(seconds), each, first)))))

"""How big `tocsin run` is, as Linux tells it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

GLANCE_SECONDS = 0.5


async def sample(pid: int, memory: list[float], descriptors: list[int]) -> None:
    """Until cancelled, its resident memory (megabytes) and its open descriptors, as Linux tells them."""
    while True:
        memory.append(_resident(pid))
        descriptors.append(len(os.listdir(f"/proc/{pid}/fd")))
        await asyncio.sleep(GLANCE_SECONDS)


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(resident.split()[1]) / 1024

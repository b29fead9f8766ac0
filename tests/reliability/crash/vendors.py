"""Who keeps the incidents in a run: Tocsin itself, or a vendor that outlives the bot's lives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

from support.slack import RunningWorkspace

from reliability.crash.clock import Hurry
from reliability.history.evidence import Evidence
from reliability.history.history import Json

SEVERITIES = ("critical", "major", "minor")


class Vendor(Protocol):
    """A vendor's stand-in, and what its record says of a run."""

    severities: tuple[str, str, str]
    """Their ids in the form, worst first."""
    keeps_private: bool
    """Whether an incident can be private there."""

    @property
    def settings(self) -> Mapping[str, Any]: ...

    def kept(self, folder: Path) -> dict[str, list[Json]] | None:
        """Its incidents as rows of the same shape as Tocsin's own tables; None where those are meant."""
        ...

    def broken(self, seen: Evidence) -> Iterator[str]:
        """A sentence for each promise that was broken towards the vendor, or by what it keeps."""
        ...


@dataclass(frozen=True)
class Scene:
    """What a vendor needs of the run it is in."""

    slack: RunningWorkspace
    hurry: Hurry
    rng: Random


Opened = Callable[[Scene], AbstractAsyncContextManager[Vendor]]


class OwnFile:
    """No vendor: the incidents are in a file in the data folder, which the history reads itself."""

    severities = SEVERITIES
    keeps_private = True
    settings: Mapping[str, Any] = {}

    def kept(self, folder: Path) -> None:
        return None

    def broken(self, seen: Evidence) -> Iterator[str]:
        return iter(())


@asynccontextmanager
async def own_file(scene: Scene) -> AsyncIterator[Vendor]:
    yield OwnFile()

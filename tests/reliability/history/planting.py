"""Functions of the bot that another function stands in for, from the moment their module is imported."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import FunctionType, ModuleType
from typing import Any


class NotPlanted(Exception):
    """The function is not there, or its module was imported before anything could be planted in it."""


@dataclass(frozen=True)
class StandIn:
    """A function that is called in place of another one, which it is given before all other arguments."""

    target: str
    """The module and the qualified name of the function, as in `tocsin.slack.messages:MessagePoster.post`."""
    function: Callable[..., Any]

    @property
    def module(self) -> str:
        return self.target.partition(":")[0]

    def plant_in(self, module: ModuleType) -> None:
        holder, name, original = function_in(module, self.target)
        setattr(holder, name, _standing_in(original, self.function))


def function_in(module: ModuleType, target: str) -> tuple[Any, str, FunctionType]:
    """What holds the function, its name there, and the function. Raises NotPlanted where there is none."""
    *path, name = target.partition(":")[2].split(".")
    holder: Any = module
    for part in path:
        holder = vars(holder).get(part, NotPlanted)
    found = vars(holder).get(name)
    if not inspect.isfunction(found):
        raise NotPlanted(f"there is no function {target}")
    return holder, name, found


def _standing_in(original: FunctionType, function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def awaited(*args: Any, **named: Any) -> Any:
            return await function(original, *args, **named)

        return awaited

    @functools.wraps(original)
    def called(*args: Any, **named: Any) -> Any:
        return function(original, *args, **named)

    return called


class _PlantingLoader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, stand_ins: Sequence[StandIn]) -> None:
        super().__init__(fullname, path)
        self._stand_ins = stand_ins

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        # Before anybody else can import them from here.
        for stand_in in self._stand_ins:
            stand_in.plant_in(module)


class _Planter(MetaPathFinder):
    def __init__(self, stand_ins: Sequence[StandIn]) -> None:
        self._stand_ins = stand_ins

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        wanted = [one for one in self._stand_ins if one.module == fullname]
        spec = PathFinder.find_spec(fullname, path, target) if wanted else None
        if spec is not None and spec.origin is not None:
            spec.loader = _PlantingLoader(fullname, spec.origin, wanted)
        return spec


def plant(stand_ins: Iterable[StandIn]) -> None:
    """Import the modules with their stand-ins. Raises NotPlanted where one cannot be planted."""
    planned = list(stand_ins)
    modules = {one.module for one in planned}
    if early := modules & set(sys.modules):
        raise NotPlanted(f"imported already: {sorted(early)}")
    sys.meta_path.insert(0, _Planter(planned))
    for module in sorted(modules):
        importlib.import_module(module)

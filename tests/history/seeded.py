"""Bugs planted on purpose: exact pieces of the bot's source, replaced as it is imported."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any


class SeedDoesNotFit(Exception):
    """The source has changed, and what the seed would replace is no longer there exactly once."""


@dataclass(frozen=True)
class Edit:
    """Replace `old`, which must stand exactly once in the module's source, by `new`."""

    module: str
    old: str
    new: str

    def made_in(self, source: str) -> str:
        if (there := source.count(self.old)) != 1:
            raise SeedDoesNotFit(f"{self.module} has {there} times: {self.old}")
        return source.replace(self.old, self.new)


class _EditedLoader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, edits: Sequence[Edit]) -> None:
        super().__init__(fullname, path)
        self._edits = edits

    def get_code(self, fullname: str) -> CodeType | None:
        source = self.get_source(fullname) or ""
        for edit in self._edits:
            source = edit.made_in(source)
        return compile(source, self.path, "exec", dont_inherit=True)


class _Planter(MetaPathFinder):
    def __init__(self, edits: Iterable[Edit]) -> None:
        self._edits: dict[str, list[Edit]] = {}
        for edit in edits:
            self._edits.setdefault(edit.module, []).append(edit)

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        edits = self._edits.get(fullname)
        spec = PathFinder.find_spec(fullname, path, target) if edits else None
        if edits and spec is not None and spec.origin is not None:
            spec.loader = _EditedLoader(fullname, spec.origin, edits)
        return spec


def plant(edits: Iterable[Edit]) -> None:
    """Have these edits in every module that is imported from now on; their modules must be new."""
    planned = list(edits)
    if early := {edit.module for edit in planned} & set(sys.modules):
        raise SeedDoesNotFit(f"imported already: {sorted(early)}")
    sys.meta_path.insert(0, _Planter(planned))


def source_of(module: str) -> str:
    """The module's source as it is on disk, found without importing the module itself."""
    package = module.rpartition(".")[0]
    parent = __import__(package, fromlist=["__path__"])
    spec = PathFinder.find_spec(module, parent.__path__)
    if spec is None or spec.origin is None:
        raise SeedDoesNotFit(f"there is no module {module}")
    with open(spec.origin, encoding="utf-8") as file:
        return file.read()

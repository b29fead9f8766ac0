"""SqlConnection of the local backend to its database, and the SQL in which SQLite and PostgreSQL differ."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

Row = dict[str, Any]
Parameters = Sequence[Any] | dict[str, Any]
Query = tuple[str, list[Any]]
"""A statement, or a part of one, and the values of its marks."""

T = TypeVar("T")

WORD = re.compile(r"[^\W_]+")


class SqlConnection(ABC):
    """SqlConnection to the incidents, for one thread at a time.

    Statements have SQLite's marks: `?`, or `:name` with a mapping.
    """

    join_in_order = "JOIN"
    """The join that reads its left side first."""

    is_public: str
    is_open: str
    """Expressions of `incidents i`, 1 or 0, on which its indexes are made."""

    @abstractmethod
    def execute(self, sql: str, parameters: Parameters = ()) -> Any:
        """Run a statement and return a cursor with `fetchone`, `fetchall` and iteration over tuples."""

    @abstractmethod
    def query(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        """Yield the rows of a query by the names of their columns."""

    @abstractmethod
    def transaction(self, scope: str) -> AbstractContextManager[None]:
        """Commit all statements of the block together.

        Blocks with the same `scope` (an incident's id, for example) run one after the other, so that values
        read in a block stay valid until its commit.
        """

    @abstractmethod
    def counting(self) -> AbstractContextManager[bool]:
        """Commit all statements of the block together; yields True if the counts of days may be stored in it.

        Then a change that the counts do not have makes them void, however late it is committed.
        """

    @abstractmethod
    def recounted(self, public: int) -> frozenset[str]:
        """Return the days whose stored counts are void; "" stands for every day."""

    @abstractmethod
    def indexed_by(self, index: str) -> str:
        """Return the clause after a table's name that makes the query walk along this index."""

    @abstractmethod
    def word_searches(
        self,
        text: str,
        before: int,
        public: int | None = None,
        people: Sequence[str] = (),
        at_least: int = 0,
    ) -> Sequence[Query]:
        """Return queries for the numbers from `at_least` to below `before` of incidents with all the words.

        They may leave out incidents that are not so visible, or in which one of these people has no part; the
        caller adds these conditions as well.

        The highest numbers come first, and `{conditions}` stands where more conditions on `incidents i` go.
        All that a query finds is older than what the one before it finds; together they find everything.
        """

    @abstractmethod
    def has_words(self, number: str, text: str) -> Query | None:
        """Return the condition that the incident with the number in this column contains all the words.

        Returns None if `word_searches` looks for people as well, so that it is the better way to them.
        """

    @abstractmethod
    def contains_words(self, text: str) -> Query:
        """Return the condition that `incidents i` contains all the words, at the cost of one look for each.

        There must be a word in the text.
        """

    @abstractmethod
    def index_words(self, number: int) -> None:
        """Make the incident searchable, after its name, summary, visibility or people were written."""

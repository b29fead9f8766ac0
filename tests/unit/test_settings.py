"""The address of the database: which are taken, and what is said of the others, never with a password."""

from __future__ import annotations

import pytest

from tocsin.settings import ConfigurationError, read_settings

PASSWORD = "opensesame"

TAKEN = (
    "sqlite:////var/lib/tocsin.db",
    "sqlite:///tocsin.db",
    f"postgresql://tocsin:{PASSWORD}@db.example.com:5432/tocsin",
    f"postgres://tocsin:{PASSWORD}@db.example.com/tocsin?sslmode=verify-full",
    "postgresql://tocsin@/tocsin?host=/run/postgresql",
    "postgresql:///?service=tocsin",
)

WRONG = {
    "tocsin.db": "is no database address",
    f"mysql://tocsin:{PASSWORD}@db.example.com/tocsin": "is no database address",
    f"postgresql+asyncpg://tocsin:{PASSWORD}@db.example.com/tocsin": "is no database address",
    f"postgresql://tocsin:{PASSWORD}@db.example.com:port/tocsin": "is no database address",
    f"postgresql://tocsin:a@{PASSWORD}:b@db.example.com/tocsin": "is no database address",
    f"postgresql://tocsin:a@{PASSWORD}@db.example.com/tocsin": "has an @ too many",
    f"postgresql://tocsin:{PASSWORD}@db.example.com": "names no database",
    f"postgresql://tocsin:{PASSWORD}@db.example.com/": "names no database",
    "sqlite://": "names no file",
    "sqlite:///": "names no file",
}


@pytest.mark.parametrize("address", TAKEN)
def test_an_address_of_sqlite_or_postgresql_is_taken_as_it_is_written(address: str) -> None:
    taken = read_settings(tocsin_database_url=address).tocsin_database_url
    assert taken is not None
    assert taken.get_secret_value() == address
    assert PASSWORD not in repr(taken)


@pytest.mark.parametrize("address", WRONG)
def test_any_other_is_refused_in_one_line_with_both_that_are_taken_and_no_password(address: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        read_settings(tocsin_database_url=address)
    (line,) = str(told.value).splitlines()
    assert line.startswith(f"TOCSIN_DATABASE_URL {WRONG[address]}")
    assert "sqlite:///" in line
    assert "postgresql://" in line
    assert PASSWORD not in line
    assert told.value.__cause__ is None

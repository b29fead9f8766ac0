"""The address of the database: which are taken, and what is said of the others, never with a password."""

from __future__ import annotations

import pytest
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from tocsin.settings import ConfigurationError, read_settings
from tocsin.storage.postgresql import postgresql_url

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
    f"postgresql://tocsin:{PASSWORD}@db1:5433,db2:port/tocsin": "is no database address",
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


@pytest.mark.parametrize(
    ("address", "hosts", "ports"),
    [
        (f"postgresql://tocsin:{PASSWORD}@db1,db2/tocsin", "db1,db2", None),
        (f"postgresql://tocsin:{PASSWORD}@db1:5433,db2:5434/tocsin", "db1,db2", "5433,5434"),
        (f"postgres://tocsin:{PASSWORD}@[::1],[::2]:5434/tocsin", "::1,::2", ",5434"),
    ],
)
def test_several_servers_are_written_as_psql_takes_them(address: str, hosts: str, ports: str | None) -> None:
    taken = read_settings(
        tocsin_database_url=f"{address}?target_session_attrs=read-write"
    ).tocsin_database_url
    assert taken is not None
    _, given = PGDialect_psycopg().create_connect_args(postgresql_url(taken.get_secret_value()))
    told = {name: given.get(name) for name in ("host", "password", "dbname", "target_session_attrs")}
    assert told == {
        "host": hosts,
        "password": PASSWORD,
        "dbname": "tocsin",
        "target_session_attrs": "read-write",
    }
    # SQLAlchemy writes a port for each host, empty for PostgreSQL's own.
    assert given.get("port") == ports or not given["port"].strip(",")


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

"""A warm process that has imported the bot, runs nothing, and forks a fresh bot for each life.

It reads one order a line from its standard input, and ends when that ends.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import tempfile
import threading
from typing import Any

from reliability.crash.clock import lay_time
from reliability.crash.switch import SWITCHES, Kill, lay_switches

lay_time()
lay_switches()

from slack_bolt.app.async_app import AsyncApp  # noqa: E402

from reliability.crash import life  # noqa: E402
from tocsin.storage.database import Database  # noqa: E402


def warm_up() -> None:
    """Pay once for what every bot would pay at its start, late imports and caches; no thread outlives it."""
    with tempfile.TemporaryDirectory() as folder:
        (database := Database(f"sqlite:///{folder}/ledger.db")).open()
        database.close()
    AsyncApp(token="xoxb-warm", signing_secret="warm", request_verification_enabled=False)
    assert threading.active_count() == 1
    gc.collect()
    gc.freeze()


def main() -> None:
    warm_up()
    # Nobody waits for the bots: they are reaped as they die.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        if os.fork() == 0:
            _live(json.loads(line))


def _live(order: dict[str, Any]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(order["log"], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    kill = Kill(**order["kill"]) if order["kill"] else None
    try:
        life.live(order, SWITCHES, kill)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main()

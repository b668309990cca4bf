"""A PostgreSQL server of one's own, on a socket in a folder of its own, gone when the tests are over."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

ACCOUNT = "postgres"


class Server:
    """Gives each test a database of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql+psycopg://{ACCOUNT}@/{database}?host={self._folder}"

    def fresh(self) -> str:
        """Make an empty database and return its URL."""
        name = f"registry{next(self._numbers)}"
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)


@contextmanager
def server() -> Iterator[Server]:
    """Start a server and stop it in the end."""
    folder = Path(tempfile.mkdtemp(prefix="imagetest-postgres-"))
    try:
        if os.geteuid() == 0:
            account = pwd.getpwnam(ACCOUNT)
            os.chown(folder, account.pw_uid, account.pw_gid)
        _run("initdb", "--no-sync", "--auth=trust", f"--username={ACCOUNT}", f"--pgdata={folder}/data")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c timezone=Europe/Berlin"
        _run("pg_ctl", "start", "--wait", f"--pgdata={folder}/data", f"--log={folder}/log", "-o", options)
        try:
            yield Server(folder)
        finally:
            _run("pg_ctl", "stop", "--mode=immediate", "--wait", f"--pgdata={folder}/data")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(program: str, *arguments: str) -> None:
    found = shutil.which(program) or str(next(Path("/usr/lib/postgresql").glob(f"*/bin/{program}")))
    # PostgreSQL refuses to run as root.
    other = ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*other, found, *arguments], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=60, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout

"""Loads CSV files in PostgreSQL's spelling into a SQLite database.

    load_sqlite.py DATABASE [TABLE COLUMNS FILE]...
"""

import csv
import datetime
import sqlite3
import sys
import uuid


def blob(text):
    return bytes.fromhex(text[2:]) if text.startswith("\\x") else uuid.UUID(text).bytes


def microseconds(text):
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int(moment.timestamp()) * 1_000_000


READERS = {"BLOB": blob, "INTEGER": microseconds, "TEXT": str}

database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA synchronous = OFF")
database.execute("PRAGMA cache_size = -1000000")
database.execute("BEGIN")
arguments = iter(sys.argv[2:])
for table, columns, path in zip(arguments, arguments, arguments):
    types = {row[1]: row[2] for row in database.execute(f"PRAGMA table_info({table})")}
    names = [name.strip() for name in columns.split(",")]
    readers = [READERS[types[name]] for name in names]
    places = ", ".join("?" for _ in names)
    with open(path, newline="") as file:
        rows = ([read(text) for read, text in zip(readers, row)] for row in csv.reader(file))
        database.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)
database.execute("COMMIT")
database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

"""A receiver with a front-end database: its tables, and a clerk who works them off as he is told."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import UTC
from typing import Any

import sqlalchemy as sa

from gateway.exchange.database import DatabaseTransport, FrontLimits
from gateway.exchange.front_engine import open_engine
from gateway.exchange.front_layout import CONTROL, FEEDBACK, Layout, TableNames
from gateway.exchange.recorder import Recorder
from gateway.exchange.secret import Secret
from gateway.package.certificates import Certificate
from gateway.package.fields import FIELDS
from gateway.package.header import FormatReference
from tests.delivery.organisation import SetClock
from tests.exchange.conformance import KEYS, Manner
from tests.package.samples import RECEIVER, draft, ecdsa
from tests.sources.databases import Database

COLUMNS = ("XK_XDR_MC", "XK_WSH", "XK_JDRQ", "XK_AMOUNT", "Order")
"""One of them is a word of SQL with a capital: it stands only where every name is quoted."""
TEXT = {"sqlite": "TEXT", "postgresql": "VARCHAR(200)", "mariadb": "VARCHAR(200) COLLATE utf8mb4_bin"}
NAMED = {what: f"JH_{what.upper()}" for what in CONTROL} | {"batch": "JH_BATCH_ID"}
WRONGS = (
    "unknown record",
    "status outside 0 to 3",
    "no status",
    "row of another batch",
    "row taken away",
    "version changed",
)
FEEDBACK_WRONGS = ("unknown record", "status outside 0 to 3", "no status", "told twice")


def layout_of(table: str, feedback: str | None = None, columns: Sequence[str] = COLUMNS) -> Layout:
    """A layout as a format would give it."""
    told = None
    if feedback is not None:
        told = TableNames(table=feedback, schema=None, named={what: NAMED[what] for what in FEEDBACK})
    return Layout(
        format_id="tables",
        format_version="1",
        catalog=draft().catalog,
        rows=TableNames(table=table, schema=None, named=NAMED),
        columns=tuple(columns),
        feedback=told,
    )


class FrontBench:
    """The other organisation: ``feedback`` says whether it tells of records in a table of its own."""

    taken_down = True
    format = FormatReference(id="tables", version="1")
    trusted: Sequence[Certificate] = (ecdsa().certificate,)

    def __init__(self, database: Database, *, feedback: bool = False) -> None:
        self.database = database
        self.packages: dict[str, bytes] = {}
        self.manner = Manner.ACCEPT
        self.rejected: Collection[str] = ()
        self.wrong = ""
        self.table = f"JH_{uuid.uuid4().hex[:12]}"
        self.feedback = f"{self.table}_FK" if feedback else None
        self._make()
        self.engine = open_engine(Secret(database.url), peer="province", seconds=20)
        sa.event.listen(self.engine, "do_connect", self._connecting)
        sa.event.listen(self.engine, "commit", self._committing)
        self.transport = DatabaseTransport(
            self.engine,
            peer="province",
            layouts=[layout_of(self.table, self.feedback)],
            recorder=Recorder(receiver=RECEIVER, signer=ecdsa().signer, clock=SetClock()),
            package_of=self.packages.__getitem__,
            clock=SetClock(),
            zone=UTC,
            limits=FrontLimits(poll=0.0),
        )

    @property
    def wrongs(self) -> Sequence[str]:
        return WRONGS if self.feedback is None else FEEDBACK_WRONGS

    def body(self, number: int) -> str:
        fields = {
            "XK_XDR_MC": f"甲公司{number}",
            "XK_WSH": f"{number}号",
            "XK_JDRQ": "2026-09-01",
            "XK_AMOUNT": "0.200000",
        }
        texts = "".join(f'<Field name="{name}">{text}</Field>' for name, text in fields.items())
        return f'<Fields xmlns="{FIELDS}" template="{draft().catalog}">{texts}</Fields>'

    async def behave(self, manner: Manner, *, rejected: Collection[str] = ()) -> None:
        if self.manner is Manner.REFUSE:
            self._rename("gone", "XK_WSH")
        self._mend()
        self.manner, self.rejected, self.wrong = manner, rejected, ""
        if manner is Manner.REFUSE:
            self._rename("XK_WSH", "gone")

    async def answer_wrongly(self, how: str) -> None:
        self.wrong = how

    async def work(self) -> None:
        """Take every row that is not decided, and decide it."""
        with self.database.engine.begin() as conn:
            rows = conn.execute(self._sql("SELECT {JH_BATCH_ID}, {JH_KEY}, {JH_STATUS} FROM {t}")).all()
            for batch, key, status in rows:
                if status in {0, 1}:
                    self._decide(conn, batch, key)
            if self.wrong:
                self._spoil(conn, list(self.packages)[-1])

    async def copies(self, batch_id: str) -> int:
        with self.database.engine.begin() as conn:
            found = conn.execute(self._sql("SELECT {JH_KEY} FROM {t} WHERE {JH_BATCH_ID} = :b"), {"b": batch_id}).all()
        assert sorted(found) in ([], sorted((key,) for key in KEYS))
        return len(found) // len(KEYS)

    def rows(self) -> list[dict[str, Any]]:
        with self.database.engine.begin() as conn:
            return [dict(row) for row in conn.execute(self._sql("SELECT * FROM {t} ORDER BY {JH_KEY}")).mappings()]

    def _decide(self, conn: sa.Connection, batch: str, key: str) -> None:
        good = key not in self.rejected
        status = 1 if self.manner is Manner.LATE else 2 if good else 3
        facts = {
            "b": batch,
            "k": key,
            "s": status,
            "c": None if good else "identifier-invalid",
            "m": None if good else "校验位不符",
        }
        where = "WHERE {JH_BATCH_ID} = :b AND {JH_KEY} = :k"
        if self.feedback is None or status == 1:
            update = "UPDATE {t} SET {JH_STATUS} = :s, {JH_CODE} = :c, {JH_MESSAGE} = :m "
            conn.execute(self._sql(update + where), facts)
            return
        told = conn.execute(self._sql("SELECT 1 FROM {f} " + where), facts).first()
        if told is None:
            names = "{JH_BATCH_ID}, {JH_KEY}, {JH_STATUS}, {JH_CODE}, {JH_MESSAGE}"
            conn.execute(self._sql(f"INSERT INTO {{f}} ({names}) VALUES (:b, :k, :s, :c, :m)"), facts)

    def _spoil(self, conn: sa.Connection, batch: str) -> None:
        facts = {"b": batch, "k": KEYS[0], "o": "0193ffff-0000-7abc-8def-0123456789ab"}
        where = " WHERE {JH_BATCH_ID} = :b AND {JH_KEY} = :k"
        at = "{t}" if self.feedback is None else "{f}"
        names = "{JH_BATCH_ID}, {JH_KEY}, {JH_STATUS}"
        match self.wrong:
            case "unknown record":
                extra = ", {JH_VERSION}" if self.feedback is None else ""
                one = ", 1" if self.feedback is None else ""
                conn.execute(self._sql(f"INSERT INTO {at} ({names}{extra}) VALUES (:b, 'not ours', 2{one})"), facts)
            case "status outside 0 to 3":
                conn.execute(self._sql(f"UPDATE {at} SET {{JH_STATUS}} = 7{where}"), facts)
            case "no status":
                conn.execute(self._sql(f"UPDATE {at} SET {{JH_STATUS}} = NULL{where}"), facts)
            case "row of another batch":
                conn.execute(self._sql("UPDATE {t} SET {JH_BATCH_ID} = :o" + where), facts)
            case "row taken away":
                conn.execute(self._sql("UPDATE {t} SET {JH_BATCH_ID} = :o, {JH_KEY} = :k" + where), facts)
            case "version changed":
                conn.execute(self._sql("UPDATE {t} SET {JH_VERSION} = 9" + where), facts)
            case "told twice":
                conn.execute(self._sql(f"INSERT INTO {{f}} ({names}) VALUES (:b, :k, 2)"), facts)

    def _mend(self) -> None:
        """Undo what was spoilt."""
        if not self.wrong:
            return
        at = "{t}" if self.feedback is None else "{f}"
        newest = list(self.packages)[-1]
        facts = {"b": newest, "k": KEYS[0], "o": "0193ffff-0000-7abc-8def-0123456789ab"}
        with self.database.engine.begin() as conn:
            conn.execute(self._sql(f"DELETE FROM {at} WHERE {{JH_KEY}} = 'not ours'"), facts)
            conn.execute(self._sql("UPDATE {t} SET {JH_BATCH_ID} = :b WHERE {JH_BATCH_ID} = :o"), facts)
            conn.execute(self._sql("UPDATE {t} SET {JH_VERSION} = 1 WHERE {JH_KEY} = :k"), facts)
            if self.feedback is None:
                conn.execute(self._sql("UPDATE {t} SET {JH_STATUS} = 2 WHERE {JH_KEY} = :k"), facts)
            else:
                conn.execute(self._sql("DELETE FROM {f} WHERE {JH_BATCH_ID} = :b AND {JH_KEY} = :k"), facts)

    def _connecting(self, *_: object) -> None:
        if self.manner is Manner.VANISH:
            raise self.engine.dialect.loaded_dbapi.OperationalError("nobody is there")

    def _committing(self, conn: sa.Connection) -> None:
        """The commit gets through, the answer to it does not."""
        if self.manner is Manner.LOSE:
            inner = conn.connection.dbapi_connection
            assert inner is not None
            inner.commit()
            raise sa.exc.OperationalError("COMMIT", None, Exception("the line is cut"), connection_invalidated=True)

    def _make(self) -> None:
        kind = self.database.kind
        text, day = TEXT[kind], self.database.type("day")
        types = {"XK_JDRQ": day, "XK_AMOUNT": self.database.type("amount"), "JH_MESSAGE": "VARCHAR(2000)"}
        types |= {
            "JH_STATUS": "INTEGER",
            "JH_SEQUENCE": "BIGINT",
            "JH_VERSION": "BIGINT",
            "JH_TIME": self.database.type("time"),
        }
        names = (*NAMED.values(), *COLUMNS)
        listed = ", ".join(f"{self.database.quote(name)} {types.get(name, text)}" for name in names)
        unique = "UNIQUE ({JH_BATCH_ID}, {JH_KEY})"
        with self.database.engine.begin() as conn:
            conn.execute(self._sql(f"CREATE TABLE {{t}} ({listed}, {unique})"))
            self.database.tables.append(self.database.quote(self.table))
            if self.feedback is not None:
                told = ", ".join(
                    f"{self.database.quote(NAMED[what])} {types.get(NAMED[what], text)}" for what in FEEDBACK
                )
                conn.execute(self._sql(f"CREATE TABLE {{f}} ({told})"))
                self.database.tables.append(self.database.quote(self.feedback))

    def _rename(self, before: str, after: str) -> None:
        quote = self.database.quote
        with self.database.engine.begin() as conn:
            conn.execute(self._sql(f"ALTER TABLE {{t}} RENAME COLUMN {quote(before)} TO {quote(after)}"))

    def _sql(self, statement: str) -> sa.TextClause:
        names = {name: self.database.quote(name) for name in NAMED.values()}
        names |= {"t": self.database.quote(self.table), "f": self.database.quote(self.feedback or "")}
        return sa.text(statement.format(**names))

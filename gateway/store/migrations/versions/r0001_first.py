"""The first schema: what is shared, sent, received and logged, and the triggers that keep evidence as it was written.

Revision 0001.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Table, event and condition under which a change is refused; no condition = always. The triggers keep a slip of the hand out, and a
# defect of this program; whoever owns the database can drop them. Evidence against him is the signed ledger, not this.
_KEPT: tuple[tuple[str, str, str], ...] = (
    ("entry", "UPDATE", ""),
    ("entry", "DELETE", ""),
    # INSERT OR REPLACE deletes without firing a DELETE trigger, so what is there already is refused. The head moves first: an entry
    # takes the index that this has freed, and no other.
    (
        "entry",
        "INSERT",
        "NEW.idx + 1 <> (SELECT size FROM ledger_head) OR EXISTS (SELECT 1 FROM entry WHERE idx = NEW.idx)",
    ),
    ("tile", "UPDATE", ""),
    ("tile", "DELETE", ""),
    ("tile", "INSERT", "EXISTS (SELECT 1 FROM tile WHERE level = NEW.level AND n = NEW.n)"),
    ("checkpoint", "UPDATE", ""),
    ("checkpoint", "DELETE", ""),
    ("checkpoint", "INSERT", "EXISTS (SELECT 1 FROM checkpoint WHERE size = NEW.size)"),
    ("ledger_head", "UPDATE", "NEW.size <= OLD.size"),
    ("ledger_head", "DELETE", ""),
    ("ledger_head", "INSERT", "EXISTS (SELECT 1 FROM ledger_head)"),
    ("package", "UPDATE", ""),
    ("receipt", "UPDATE", ""),
    ("refused_receipt", "UPDATE", ""),
    ("attempt", "UPDATE", "OLD.ended_at IS NOT NULL"),
)


def upgrade() -> None:
    """From nothing."""
    op.create_table(
        "checkpoint",
        sa.Column("size", _IDENTITY, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_checkpoint")),
    )
    op.create_table(
        "entry",
        sa.Column("idx", _IDENTITY, autoincrement=False, nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("route", sa.Text()),
        sa.Column("route_seq", sa.Integer()),
        sa.Column("batch_id", sa.Text()),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("idx", name=op.f("pk_entry")),
    )
    op.create_index(op.f("ix_entry_batch_id"), "entry", ["batch_id"])
    op.create_index(op.f("ix_entry_route_idx"), "entry", ["route", "idx"])
    op.create_index(op.f("ix_entry_route_route_seq"), "entry", ["route", "route_seq"])
    op.create_table(
        "inbox_batch",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("catalog", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("package_sha256", sa.Text(), nullable=False),
        sa.Column("receipt_sha256", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
        sa.Column("package", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox_batch")),
        sa.UniqueConstraint("route", "sequence", name=op.f("uq_inbox_batch_route_sequence")),
    )
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("edge", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_ledger_head_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_head")),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Text()),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("mapping_digest", sa.Text(), nullable=False),
        sa.Column("person", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("figures", sa.Text()),
        sa.CheckConstraint("kind IN ('scheduled', 'manual', 'resync')", name=op.f("ck_run_kind")),
        sa.CheckConstraint("state IN ('open', 'closed', 'failed')", name=op.f("ck_run_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("exchange", "due_at", name=op.f("uq_run_exchange_due_at")),
    )
    op.create_index(op.f("ix_run_exchange_started_at"), "run", ["exchange", "started_at"])
    op.create_table(
        "sender_head",
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sender", name=op.f("pk_sender_head")),
    )
    op.create_table(
        "tile",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "n", name=op.f("pk_tile")),
    )
    op.create_table(
        "batch",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("previous_id", sa.Text()),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("upsert", sa.Integer(), nullable=False),
        sa.Column("withdraw", sa.Integer(), nullable=False),
        sa.Column("stop_share", sa.Integer(), nullable=False),
        sa.Column("record_root", sa.Text(), nullable=False),
        sa.Column("mapping_digest", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("package_sha256", sa.Text(), nullable=False),
        sa.Column("manifest_sha256", sa.Text(), nullable=False),
        sa.Column("signer_key_id", sa.Text(), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("next_attempt_at", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("give_up_at", sa.Text()),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_until", sa.Text()),
        sa.Column("closed_at", sa.Text()),
        sa.Column("void_of", sa.Text()),
        sa.Column("person", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("figures", sa.Text()),
        sa.CheckConstraint(
            "state IN ('ready', 'sending', 'waiting', 'unknown', 'refused', 'acknowledged', 'reconciled', 'disputed', 'abandoned')",
            name=op.f("ck_batch_state"),
        ),
        sa.CheckConstraint('total = "upsert" + withdraw + stop_share', name=op.f("ck_batch_total")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_batch_run_id_run")),
        sa.ForeignKeyConstraint(["void_of"], ["batch.id"], name=op.f("fk_batch_void_of_batch")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
    )
    op.create_index(op.f("ix_batch_exchange_state"), "batch", ["exchange", "state"])
    op.create_index(op.f("ix_batch_route_state_sequence"), "batch", ["route", "state", "sequence"])
    op.create_index(op.f("ix_batch_run_id"), "batch", ["run_id"])
    op.create_index(
        "uq_batch_route_sequence",
        "batch",
        ["route", "sequence"],
        unique=True,
        sqlite_where=sa.text("state <> 'abandoned'"),
        postgresql_where=sa.text("state <> 'abandoned'"),
    )
    op.create_table(
        "inbox_record",
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("content", sa.Text()),
        sa.CheckConstraint("op IN ('upsert', 'withdraw', 'stop-share')", name=op.f("ck_inbox_record_op")),
        sa.ForeignKeyConstraint(["batch_id"], ["inbox_batch.id"], name=op.f("fk_inbox_record_batch_id_inbox_batch")),
        sa.PrimaryKeyConstraint("route", "key", name=op.f("pk_inbox_record")),
    )
    op.create_index("ix_inbox_record_buckets", "inbox_record", ["route", "key_hash", "version"])
    op.create_table(
        "quarantine",
        sa.Column("id", _IDENTITY, nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("key", sa.Text()),
        sa.Column("locator", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text()),
        sa.Column("row_digest", sa.LargeBinary(), nullable=False),
        sa.Column("identity", sa.LargeBinary(), nullable=False),
        sa.Column("opened_run", sa.Text(), nullable=False),
        sa.Column("last_run", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.Text()),
        sa.Column("closed_why", sa.Text()),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("row", sa.Text(), nullable=False),
        sa.CheckConstraint("stage IN ('source', 'format', 'receiver')", name=op.f("ck_quarantine_stage")),
        sa.ForeignKeyConstraint(["last_run"], ["run.id"], name=op.f("fk_quarantine_last_run_run")),
        sa.ForeignKeyConstraint(["opened_run"], ["run.id"], name=op.f("fk_quarantine_opened_run_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
    )
    op.create_index(op.f("ix_quarantine_exchange_opened_at"), "quarantine", ["exchange", "opened_at"])
    op.create_index(
        "ix_quarantine_open",
        "quarantine",
        ["exchange", "source", "stage", "key"],
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index(
        "uq_quarantine_identity",
        "quarantine",
        ["identity"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "record",
        sa.Column("id", _IDENTITY, nullable=False),
        sa.Column("catalog", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text()),
        sa.Column("deadline", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Text(), nullable=False),
        sa.CheckConstraint("op IN ('upsert', 'withdraw', 'stop-share')", name=op.f("ck_record_op")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_record_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record")),
        sa.UniqueConstraint("catalog", "source", "key", name=op.f("uq_record_catalog_source_key")),
    )
    op.create_index("ix_record_due", "record", ["catalog", "source", "deadline", "version", "op"])
    op.create_table(
        "watermark",
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_watermark_run_id_run")),
        sa.PrimaryKeyConstraint("exchange", "source", name=op.f("pk_watermark")),
    )
    op.create_table(
        "attempt",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Text()),
        sa.Column("outcome", sa.Text()),
        sa.Column("status", sa.Integer()),
        sa.Column("code", sa.Text()),
        sa.Column("detail", sa.Text()),
        sa.CheckConstraint(
            "outcome IN ('acknowledged', 'refused', 'later', 'unknown')", name=op.f("ck_attempt_outcome")
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_attempt_batch_id_batch")),
        sa.PrimaryKeyConstraint("batch_id", "number", name=op.f("pk_attempt")),
    )
    op.create_table(
        "package",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_package_batch_id_batch")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_package")),
    )
    op.create_table(
        "receipt",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_receipt_batch_id_batch")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_receipt")),
    )
    op.create_table(
        "record_content",
        sa.Column("record_id", _IDENTITY, autoincrement=False, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["record.id"], name=op.f("fk_record_content_record_id_record")),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_record_content")),
    )
    op.create_table(
        "refused_receipt",
        sa.Column("id", _IDENTITY, nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_refused_receipt_batch_id_batch")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refused_receipt")),
    )
    op.create_index(op.f("ix_refused_receipt_batch_id"), "refused_receipt", ["batch_id"])
    op.create_table(
        "share",
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("record_id", _IDENTITY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Text()),
        sa.Column("outcome", sa.Text()),
        sa.Column("code", sa.Text()),
        sa.Column("field", sa.Text()),
        sa.Column("message", sa.Text()),
        sa.CheckConstraint(
            "outcome IN ('accepted', 'created', 'updated', 'unchanged', 'withdrawn', 'rejected')",
            name=op.f("ck_share_outcome"),
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_share_batch_id_batch")),
        sa.ForeignKeyConstraint(["record_id"], ["record.id"], name=op.f("fk_share_record_id_record")),
        sa.PrimaryKeyConstraint("exchange", "record_id", name=op.f("pk_share")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_share_batch_id"), "share", ["batch_id"])
    op.bulk_insert(
        sa.table(
            "ledger_head",
            sa.column("id", sa.Integer),
            sa.column("size", sa.BigInteger),
            sa.column("root", sa.LargeBinary),
            sa.column("edge", sa.LargeBinary),
        ),
        [{"id": 1, "size": 0, "root": hashlib.sha256(b"").digest(), "edge": b""}],
    )
    if op.get_bind().dialect.name == "postgresql":
        _keep_on_postgresql()
    else:
        _keep_on_sqlite()


def _keep_on_sqlite() -> None:
    for table, event, condition in _KEPT:
        when = f"WHEN {condition}" if condition else ""
        op.execute(
            f"CREATE TRIGGER keep_{table}_{event.lower()} BEFORE {event} ON {table} {when} "
            f"BEGIN SELECT RAISE(ABORT, 'kept as written: {table}'); END"
        )


def _keep_on_postgresql() -> None:
    # Class 23, so that the driver reports a constraint and not a broken server.
    op.execute(
        "CREATE FUNCTION keep_as_written() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'kept as written: %', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    for table, event, condition in _KEPT:
        # A WHEN clause holds no subquery there; inserts need none: PostgreSQL has no REPLACE, the primary key is enough.
        if event == "INSERT":
            continue
        when = f"WHEN ({condition})" if condition else ""
        op.execute(
            f"CREATE TRIGGER keep_{table}_{event.lower()} BEFORE {event} ON {table} FOR EACH ROW {when} "
            "EXECUTE FUNCTION keep_as_written()"
        )
    for table in sorted({table for table, event, _ in _KEPT if event == "DELETE"}):
        op.execute(
            f"CREATE TRIGGER keep_{table}_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION keep_as_written()"
        )

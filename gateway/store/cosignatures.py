"""What witnesses signed: one line of a signed note for each checkpoint and witness."""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select

from gateway.store.tables import cosignature

__all__ = ["add_cosignature", "cosignatures", "newest_cosigned"]


def add_cosignature(conn: Connection, witness: str, size: int, line: str, *, at: str) -> bool:
    """Keep a witness's line over the checkpoint of this size; False when one is kept already."""
    known = select(cosignature.c.line).where(cosignature.c.witness == witness, cosignature.c.size == size)
    if conn.scalar(known) is not None:
        return False
    conn.execute(insert(cosignature).values(witness=witness, size=size, line=line, at=at))
    return True


def cosignatures(conn: Connection, size: int) -> list[str]:
    """The lines over the checkpoint of this size, each with its newline, by witness."""
    query = select(cosignature.c.line).where(cosignature.c.size == size).order_by(cosignature.c.witness)
    return list(conn.scalars(query))


def newest_cosigned(conn: Connection, most: int) -> list[int]:
    """For each witness, the size of the largest checkpoint up to ``most`` that it signed; each size once."""
    query = select(func.max(cosignature.c.size)).where(cosignature.c.size <= most).group_by(cosignature.c.witness)
    return sorted(set(conn.scalars(query)))

"""What we remember: records, batches and their states, receipts, quarantine, what peers sent, and the ledger's bytes.

Functions take the connection first and never commit, so that several nouns join one transaction; the transaction belongs to the
caller (``with database.begin() as conn``). Times are text as :func:`gateway.clock.instant` writes it: it sorts as time does.
"""

"""WHAT WE LOG: entries, their Merkle tree, signed checkpoints and published tiles, with Python and cryptography alone.

The byte formats are other people's, so that other people's tools can check us: RFC 6962 and RFC 9162 hashing and proofs, and the
C2SP specifications tlog-tiles, tlog-checkpoint and signed-note. Storage is reached through ``port`` only.
"""

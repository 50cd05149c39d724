"""The way from an empty database to the tables of today, one Alembic revision a file in ``versions/``.

A revision that has been released is never edited; a new one is added, named by its number, and ``tests/store/test_schema.py`` says
whether it leads to :mod:`gateway.store.tables`.
"""

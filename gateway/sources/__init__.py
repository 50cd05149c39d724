"""Rows in: where local rows are read. A database query, delimited text files and workbooks each yield data frames through one port."""

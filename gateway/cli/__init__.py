"""The command line: a rim. It parses, calls the house, and prints, in Chinese or English, for a person or as JSON."""

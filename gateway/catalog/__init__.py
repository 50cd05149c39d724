"""What may be shared: catalogs and their fields, code lists, identifiers, working-day deadlines, disclosure classes.

Pure but for loading.
"""

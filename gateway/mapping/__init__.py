"""From a local row to a sealed document's text and back: mappings, rules, checks, formats, schemas. Pure but for loading."""

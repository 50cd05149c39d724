"""Released revisions, oldest first."""

"""The publication site (双公示): what everybody may see, as files that any web server can serve."""

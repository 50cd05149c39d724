"""Bundles and proofs: made by real nodes, verified as an auditor would, and every way of their being wrong."""

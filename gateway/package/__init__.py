"""WHAT WAS SEALED: container, manifest, signature, certificates, batch and receipt, with Python and cryptography alone.

The offline verifier runs this room on a machine that has nothing else. It reads what strangers wrote, so every reader here works
under :class:`gateway.package.limits.Limits`, checks in numbered steps, raises ``PackageError`` and never answers False.
"""

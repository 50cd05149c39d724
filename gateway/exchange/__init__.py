"""Bytes out and in: how a sealed package reaches another organisation's node, how its receipt comes back, and the HTTP service that
takes what other nodes send. This room moves opaque bytes; what they mean is checked by ``package`` and decided by ``delivery``.
"""

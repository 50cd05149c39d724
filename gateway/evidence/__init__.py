"""WHAT WE CAN PROVE: what a verification found, told to whoever asked for it. With ``ledger`` and ``package`` the offline verifier."""

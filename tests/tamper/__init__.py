"""An enumerated set of tamperings with a real bundle: whoever made them, with whatever keys, none may pass. ``make tamper`` runs all of it."""

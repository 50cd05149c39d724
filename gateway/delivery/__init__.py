"""The work: extract, seal, send, receive, reconcile. This room joins the others; it is the only one that sees a whole batch go by."""

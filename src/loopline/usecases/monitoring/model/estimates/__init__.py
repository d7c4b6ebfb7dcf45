"""Performance before its truth: what is expected of rows whose outcome nobody knows yet, and how sure that is.

`values` imports no numpy; import the other modules only where estimates are made.
"""

"""The serving data path: a router process that holds the socket, and one process per model revision behind it."""

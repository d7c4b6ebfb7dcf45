"""From a library's fitted model to operations. Runs where the library is imported; nothing here is needed to serve."""

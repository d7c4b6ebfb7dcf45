"""The only place where engines meet use-cases."""

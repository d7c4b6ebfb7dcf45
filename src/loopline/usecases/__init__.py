"""What Loopline does, one folder a use-case."""

"""What Loopline does it with, one folder a port."""

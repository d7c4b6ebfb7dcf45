"""How people and programs reach Loopline."""

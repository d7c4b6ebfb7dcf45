"""The seams: what Loopline asks of an engine, one small file each."""

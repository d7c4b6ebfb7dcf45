"""What happens by itself: policies, monitoring, sealing of logs. `python -m loopline.shells.worker --home DIR`."""

"""Business rules: functions before and after a model, in a file of their own with versions and tests of its own."""

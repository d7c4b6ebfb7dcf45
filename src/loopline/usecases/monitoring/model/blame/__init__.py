"""What explains a change of a metric between two windows: segments, versions, features, data."""

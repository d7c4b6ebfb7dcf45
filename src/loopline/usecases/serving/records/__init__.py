"""The logs of predictions and truth on disk: segments that are appended to, Parquet files once sealed."""

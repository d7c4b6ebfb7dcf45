"""General tools that know none of our words."""

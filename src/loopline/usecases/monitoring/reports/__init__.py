"""Reports that leave the installation: one file that draws itself anywhere, and the same as JSON."""

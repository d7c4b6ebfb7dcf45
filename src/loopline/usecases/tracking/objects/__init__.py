"""What a run can keep besides numbers and texts: images, tables, figures, sounds; each a file of a stated media type."""

"""Our words: frozen types that two use-cases share. No input or output."""

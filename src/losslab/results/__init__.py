"""What the stages leave on disk: where it lies, how it is written whole or not at all, and each table's columns.

Arrays and rows go in, files come out, and back; nothing is computed here."""

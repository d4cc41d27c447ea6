"""What releases stored and named: each later version has to read it, and to have these names."""

"""Maps, folds and reports to look at."""

"""Meta-estimators that fit and apply any scikit-learn compatible estimator on rasters."""

"""From a catalog of scenes to a fitted estimator."""

"""Applying a fitted model from file to file, in bounded memory."""

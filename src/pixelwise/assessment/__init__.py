"""How good a map is: design-based accuracy and areas, and where its model applies."""

"""Plain re-tellings of what the package computes fast; they import nothing from it."""

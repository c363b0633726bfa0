"""Question types, one module a theme; each ends in its TYPES."""

"""How good tracks are: metrics against truth, a simple peer tracker, and the page that shows both."""

"""Order flow of a ticker: the analysis, and the one place that talks to Redis."""

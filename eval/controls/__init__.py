"""Other ways to show and ask the same questions, to find out what answers rest on: controls, and probes of consistency."""

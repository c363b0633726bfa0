"""How agents, lanes and the ego stand to each other: geometry of many subjects at once."""

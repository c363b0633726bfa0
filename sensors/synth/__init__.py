"""The synthetic world: a procedural town, its traffic, its sensors, written as a nuScenes v1.0 data set."""

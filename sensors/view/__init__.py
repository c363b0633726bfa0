"""Pictures of a fused log: a bird's-eye film and a Rerun recording."""

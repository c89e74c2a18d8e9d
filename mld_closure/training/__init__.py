"""Training: stages, losses, samples, the loop that runs them, scores of rollouts, and baselines."""

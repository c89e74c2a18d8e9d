"""What is written down beside a run: cells that needed a policy, calls that failed, and shadows."""

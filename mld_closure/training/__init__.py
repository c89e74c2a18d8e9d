"""The one training loop and the stages it runs."""

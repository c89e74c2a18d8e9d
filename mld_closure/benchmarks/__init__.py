"""What `mld-closure bench` times: one file a benchmark."""

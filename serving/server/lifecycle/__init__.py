"""Which versions are served: config, versions on disk, policy, labels, manager."""

"""The versions that are served: config, versions on disk, policy, labels, manager."""

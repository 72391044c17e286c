"""The subcommands of `fovea` about architectures, one module each."""

"""The subcommands of `fovea` about runs, one module each."""

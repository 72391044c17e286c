"""The subcommands of `fovea` that call a server, one module each."""

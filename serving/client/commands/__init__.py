"""The subcommands of `fovea` that ask a server: a module each."""

"""Command lines: flags, exit codes, one clear line for what users get wrong."""

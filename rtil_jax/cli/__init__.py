"""The command line: flags, exit codes, and one clear line for each user error."""

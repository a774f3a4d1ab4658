"""Lets `python -m rtil_jax COMMAND` do the same as `rtil COMMAND`."""

from rtil_jax.cli.main import main

if __name__ == "__main__":
    main()

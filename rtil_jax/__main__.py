"""`python -m rtil_jax COMMAND` is `rtil COMMAND`."""

from rtil_jax.cli.main import main

if __name__ == "__main__":
    main()

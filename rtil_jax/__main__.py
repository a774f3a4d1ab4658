"""`python -m rtil_jax COMMAND`: what the package does from a terminal."""

from rtil_jax.cli.main import main

if __name__ == "__main__":
    main()

"""How the bundled voice is made: see README.md."""

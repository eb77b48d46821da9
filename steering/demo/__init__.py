"""The bundled world: its grammar, the commands that train on it, and the shipped result."""

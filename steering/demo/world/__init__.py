"""The data of the bundled world: subjects (CSV), questions and answers, tones (TOML)."""

"""Where the files of the bundled model and SAE lie: sessions load them, presets name them."""

from pathlib import Path

BUNDLE = Path(__file__).parent / "demo" / "bundle"

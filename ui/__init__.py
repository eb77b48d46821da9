"""The page in the browser: adapts `steering` to Gradio and holds no arithmetic of its own."""

"""The engine: everything of NexaFX Ops that runs without a screen."""

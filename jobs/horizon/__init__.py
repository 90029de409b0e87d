"""The only room that knows Stellar: client, decoding, health and the sandbox."""

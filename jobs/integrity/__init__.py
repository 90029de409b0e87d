"""Proves the books: double entry and balances, wallets against the chain, settled history against the network."""

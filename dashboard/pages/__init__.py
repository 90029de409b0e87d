"""One file a page; each can be run alone."""

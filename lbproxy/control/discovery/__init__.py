"""Where the backends are: names become addresses, and are asked again, because addresses move."""

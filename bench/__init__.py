"""Measurements: `bench.load` sets lbproxy beside other proxies, `bench.micro` times its parts; see README.md."""

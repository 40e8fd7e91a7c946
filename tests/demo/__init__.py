"""Tests of lbproxy.demo, with a real KDC and real clients."""

"""lbproxy: a load balancer for services that authenticate their users themselves."""

__version__ = "0.1.0"

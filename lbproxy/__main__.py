"""`python -m lbproxy` is the command `lbproxy`."""

from lbproxy.cli import main

main(prog_name="lbproxy")

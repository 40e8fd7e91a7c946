"""A draft of lbproxy.toml from the configuration of another proxy: for `lbproxy import`.

    haproxy       reads haproxy.cfg
    nginx         reads nginx.conf;  `nginx_syntax`: its words and blocks
    migration     what was understood, and what was not, as a file

A draft is to be read by an administrator. So what a directive loses is said, and nothing is guessed.
"""

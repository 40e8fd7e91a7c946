"""From a validated configuration to running parts. Of the packages that run, this one and those above it know `config`.

build_data_path        pools, lanes and listeners from the configuration
data_path              them all, ticking on one loop
pool_control           a pool's probes and its consistency guard
build_probes           the probes that a pool's configuration asks for
build_consistency      the guard that it asks for
backend_tls            TLS contexts towards backends, for probes and guard
channel_binding_check  whether extended protection can work here
loop_lag               how late the event loop is
"""

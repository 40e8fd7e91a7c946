"""From a validated configuration to running parts. Of the packages that run, this one and those above it know `config`.

model                  pools and mints, ticking on one loop
build_pools            the pools of a model, from the configuration
data_path              a model with lanes and listeners
build_data_path        lanes and listeners, from the configuration
lane_tls               TLS of the lanes to https backends
pool_control           a pool's probes and its consistency guard
build_probes           the probes that a pool's configuration asks for
build_consistency      the guard that it asks for
backend_tls            TLS contexts towards backends, for probes and guard
check_path             whether backends have the page that probes ask for by default
channel_binding_check  whether extended protection can work here
loop_lag               how late the event loop is
"""

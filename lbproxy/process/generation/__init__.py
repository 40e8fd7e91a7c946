"""A generation: the processes started for one version of the configuration.

main              its entry point, and the account that it changes to
generation        its life: start, serve, hand over, end
control_plane     everything that is not users' bytes: probes, admin interface, logs
master_channel    what it tells the master, and hears from it
handover          what one generation leaves to the next
handover_formats  the same of other versions
admin_operations  what an operator may have done to a backend
listen_addresses  the addresses that a configuration listens on
privileges        the account that it runs as
status_line       one line for the service manager
"""

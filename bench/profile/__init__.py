"""Where a proxy's CPU time goes under load: perf samples it while a scenario runs.

The words:
    Sample    where a thread was at one moment: what it ran, and who had called that (samples.py; perf.py makes them)
    Part      what all samples in one function, or in one system call, are together of the time (parts.py)
    Group     parts that belong together: the kernel, the data path, Python, libc, TLS, ...
    Profile   all parts, and what a request cost meanwhile (report.py and picture.py show it)
"""

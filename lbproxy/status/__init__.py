"""Everything that is known, as one view.

served              which generation of which file it is, and how the last reload went
snapshot            the view, built from the running parts (its types are in `control.snapshot`)
counters            what was counted, in this process and in others
windows             what was counted in the last minute, and in the last ten
outliers            which backends stand out in that
counter_history     what earlier generations counted
tls_files           whether what the files of TLS hold now is in use
certificate_expiry  when certificates and revocation lists end
tls_report          the last two of a process, as workers tell them
"""

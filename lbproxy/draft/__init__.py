"""A first configuration, made of a few answers: for `lbproxy run --listen` and `lbproxy init`.

draft        the answers, checked, and the commented file that they amount to
place        where `lbproxy run --listen` keeps that file
trial_files  a certificate for trials
"""

"""Connections to backends: lanes.

lane     one lane, and all lanes of one backend
shared   the typed part: the stack of idle shared lanes
private  the private lanes of one client connection
"""

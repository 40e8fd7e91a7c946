"""Real logins at any address: `python -m bench.load --url URL`.

users      the identities that log in, and what each of them shows: a ticket, a certificate, nothing
login      one login: a new connection, the first answer, the ticket, further requests; timed step by step
run        many logins at once, for a time, with a line of progress
figures    percentiles, the spread over instances, failures by reason
report     the tables in the terminal, and the JSON
page       the report as one HTML file with pictures
"""

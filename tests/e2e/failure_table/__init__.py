"""The table of failures (docs/failure.md), case by case: what the client sees and what each backend sees, byte by byte.

rows.py     the table: what the first backend does, what the client gets for it, what is held against the backend
faults.py   how a backend goes on, as scripts
ask.py      the requests: {GET, POST, POST with a key, GET with a token} x {no body, a small one, a streamed one}
case.py     a row x a request x {fresh lane, reused lane}
member.py   a backend that plays its part in a case
stage.py    a balancer and three of them, for many cases one after the other
"""

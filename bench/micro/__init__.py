"""What single parts of the data path cost, in nanoseconds a call: cases.py has them, timing.py the clock."""

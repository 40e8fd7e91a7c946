"""Where the backends are: which there are, and at which addresses.

Source        gives the whole set of members that it knows: a kind of discovery
Answer        that set, and for how long it is good
Discovery     asks one source again and again, and lets the pool have what is to be believed (`balance.belief`)
Resolver      the addresses of backends' names, asked for again because addresses move
"""

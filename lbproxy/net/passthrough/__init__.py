"""Modes tcp and sni: the bytes of a client connection pass unread (`connection`), as the access log says (`record`)."""

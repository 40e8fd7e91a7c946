"""A conversation of two ends that say words to each other."""

from __future__ import annotations

from lbproxy.process.ipc.message import Message
from lbproxy.process.ipc.messages import Conversation


class Word(Message):
    """One message for all purposes."""

    kind = "word"
    text: str


WORDS: Conversation[Word, Word] = Conversation(Word, Word)

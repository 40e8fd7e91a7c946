"""A conversation of two ends that say words to each other."""

from __future__ import annotations

from dataclasses import dataclass

from lbproxy.process.ipc.messages import Conversation, Message


@dataclass(frozen=True, slots=True)
class Word(Message):
    """One message for all purposes."""

    kind = "word"
    text: str


WORDS: Conversation[Word, Word] = Conversation(Word, Word)

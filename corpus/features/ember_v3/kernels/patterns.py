"""Patterns that strings are searched for, and the automaton that finds them all at once.

Every pattern is reduced to literals, which an Aho-Corasick automaton finds, and to what has to hold
where one was found. The automaton knows no case; what is particular about case is checked then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corpus.features.ember_v3.kernels.matchers import Matcher, scan_strings

__all__ = ["ANY", "Literal", "Matcher", "PatternTable"]

# Every character that a string can have.
ANY = "".join(map(chr, range(0x20, 0x80)))


@dataclass(frozen=True)
class Literal:
    r"""A literal text, and what stands around it.

    As a regular expression: `[before]text[after]`, behind a `\b` if it is a `word`, with a + behind
    the text if its last character `repeats`; `before` and `after` are the characters of a class, and
    nothing needs to stand there where they are empty.
    """

    text: str
    ignore_case: bool = False
    word: bool = False
    repeats: bool = False
    before: str = ""
    after: str = ""


# Where a matcher looks closer.
_ANCHORS = {
    Matcher.IPV4: ".",
    Matcher.IPV6: ":",
    Matcher.MAC: ":-",
    Matcher.EMAIL: "@",
    Matcher.BTC_WALLET: "",
}


class PatternTable:
    """Named patterns, each one of several alternatives, as the arrays that `scan_strings` takes.

    names           of the columns, sorted
    classes         uint8 [256], the class of each byte in the automaton's alphabet
    next_states     uint32 [states * classes], the state after a state and a class; a state is the
                    number of its row's first element
    first_hit       the state from which on something was found
    hits            uint32 [states + 1], per row where its checks begin in `checks`
    checks          int32 [n, 7]: column; matcher, or 0 for a literal; length; place in `texts` if
                    case matters, else -1; 1 if it is a word plus 2 if it repeats; rows of `sets`
                    for before and after, else -1
    texts           uint8 [n], the literals in which case matters
    sets            uint8 [n, 256], 1 if a byte is in a class of characters
    btc_column      of the matcher BTC_WALLET, which has no literal; -1 if there is none
    """

    def __init__(self, patterns: Mapping[str, Sequence[Literal | Matcher]]):
        self.names: tuple[str, ...] = tuple(sorted(patterns))
        self.btc_column = -1
        self._texts = bytearray()
        self._sets: list[str] = []
        found: dict[str, list[list[int]]] = {}
        for column, name in enumerate(self.names):
            for pattern in patterns[name]:
                if pattern is Matcher.BTC_WALLET:
                    self.btc_column = column
                elif isinstance(pattern, Matcher):
                    for anchor in _ANCHORS[pattern]:
                        found.setdefault(anchor, []).append([column, pattern, 1, -1, 0, -1, -1])
                else:
                    check = self._check(column, pattern)
                    found.setdefault(pattern.text.lower(), []).append(check)
        self.texts: NDArray[np.uint8] = np.frombuffer(bytes(self._texts) or b"\0", np.uint8)
        self.sets: NDArray[np.uint8] = np.zeros((max(len(self._sets), 1), 256), np.uint8)
        for row, characters in enumerate(self._sets):
            self.sets[row, list(characters.encode("ascii"))] = 1
        self._build(found)

    def search(self, data: NDArray[np.uint8]) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
        """The strings in `data`, uint8 [n].

        Returns how many there are, how often each of the 96 characters from 0x20 on occurs in them
        (int64 [96]), and per column in how many of them its pattern is found.
        """
        histogram = np.zeros(128, np.int64)
        found = np.zeros(len(self.names), np.int64)
        strings = scan_strings(
            data,
            self.classes,
            self.next_states,
            self.width,
            self.first_hit,
            self.hits,
            self.checks,
            self.texts,
            self.sets,
            self.btc_column,
            histogram,
            found,
        )
        return strings, histogram[32:], found

    def _check(self, column: int, literal: Literal) -> list[int]:
        place = -1
        if not literal.ignore_case and literal.text.lower() != literal.text.upper():
            place = len(self._texts)
            self._texts += literal.text.encode("ascii")
        before, after = (self._set(characters) for characters in (literal.before, literal.after))
        flags = literal.word + 2 * literal.repeats
        return [column, 0, len(literal.text), place, flags, before, after]

    def _set(self, characters: str) -> int:
        if not characters:
            return -1
        if characters not in self._sets:
            self._sets.append(characters)
        return self._sets.index(characters)

    def _build(self, found: Mapping[str, list[list[int]]]) -> None:
        """The automaton of Aho and Corasick 1975 (Efficient String Matching), without failures."""
        alphabet = sorted({character for text in found for character in text})
        self.classes: NDArray[np.uint8] = np.zeros(256, np.uint8)
        for number, character in enumerate(alphabet, 1):
            self.classes[[ord(character), ord(character.upper())]] = number
        children: list[dict[int, int]] = [{}]
        checks: list[list[list[int]]] = [[]]
        for text, own in found.items():
            node = 0
            for code in text.encode("ascii"):
                child = children[node].setdefault(int(self.classes[code]), len(children))
                if child == len(children):
                    children.append({})
                    checks.append([])
                node = child
            checks[node] = list(own)

        width = len(alphabet) + 1
        next_nodes = np.zeros((len(children), width), np.uint32)
        failure = [0] * len(children)
        queue = deque([0])
        while queue:
            node = queue.popleft()
            # What fails here goes on where the longest suffix that is a prefix goes on.
            next_nodes[node] = next_nodes[failure[node]]
            checks[node] += checks[failure[node]] if node else []
            for character_class, child in children[node].items():
                failure[child] = int(next_nodes[node, character_class]) if node else 0
                next_nodes[node, character_class] = child
                queue.append(child)

        # States that found something come last, so that one comparison tells them.
        order = sorted(range(len(children)), key=lambda node: bool(checks[node]))
        states = np.empty(len(order), np.uint32)
        states[order] = np.arange(len(order), dtype=np.uint32) * width
        self.next_states: NDArray[np.uint32] = states[next_nodes[order]].ravel()
        self.first_hit = width * sum(not found_here for found_here in checks)
        self.hits: NDArray[np.uint32] = np.zeros(len(order) + 1, np.uint32)
        self.hits[1:] = np.cumsum([len(checks[node]) for node in order])
        rows = [check for node in order for check in checks[node]]
        self.checks: NDArray[np.int32] = np.array(rows, np.int32).reshape(-1, 7)
        self.width = width

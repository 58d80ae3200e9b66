"""Words of OpenQASM with their line and column, and arithmetic over them. Nothing is ever evaluated by Python."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from atomlink.circuits.circuit import CircuitError

_WORD = re.compile(
    r"(?P<space>[ \t\r\n]+|//[^\n]*|/\*.*?\*/)|(?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_π][A-Za-z0-9_]*)|(?P<text>\"[^\"\n]*\")|(?P<sign>->|==|!=|&&|\*\*|[-+*/^()\[\]{},;=@:!<>])",
    re.DOTALL,
)
FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "exp": math.exp, "ln": math.log, "log": math.log,
    "sqrt": math.sqrt, "arcsin": math.asin, "arccos": math.acos, "arctan": math.atan, "asin": math.asin,
    "acos": math.acos, "atan": math.atan,
}  # fmt: skip
CONSTANTS = {"pi": math.pi, "π": math.pi, "tau": math.tau, "euler": math.e}
DEEPEST = 100  # parentheses within one another


@dataclass(frozen=True)
class Word:
    """One word of the file: its kind (name, number, text, sign, end), text, line and column (from 1)."""

    kind: str
    text: str
    line: int
    column: int


def fail(file: str, word: Word, message: str) -> NoReturn:
    """Raise the one-line error that names file, line and column."""
    raise CircuitError(f"{file}:{word.line}:{word.column}: {message}")


def split(text: str, file: str) -> list[Word]:
    """Return the words of a file; the last one is of kind `end`."""
    words, at, line, start = [], 0, 1, 0
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None:
            fail(file, Word("sign", text[at], line, at - start + 1),
                 f"character {text[at]!r} has no meaning in OpenQASM: remove it.")  # fmt: skip
        kind, word = str(match.lastgroup), match.group()
        if kind != "space":
            words.append(Word(kind, word, line, at - start + 1))
        if "\n" in word:
            line += word.count("\n")
            start = at + word.rindex("\n") + 1
        at = match.end()
    words.append(Word("end", "end of file", line, at - start + 1))
    return words


class Reader:
    """A cursor over words, with the arithmetic of angles."""

    def __init__(self, words: list[Word], file: str) -> None:
        """Start at the first word."""
        self.words, self.file, self.at, self.depth = words, file, 0, 0

    @property
    def next(self) -> Word:
        """Return the word that comes next."""
        return self.words[self.at]

    def take(self) -> Word:
        """Return the next word and step over it."""
        word = self.words[self.at]
        self.at += word.kind != "end"
        return word

    def took(self, text: str) -> bool:
        """Step over the next word if it is this one."""
        if self.next.text == text and self.next.kind in ("sign", "name"):
            self.at += 1
            return True
        return False

    def want(self, text: str) -> Word:
        """Step over this word, or raise."""
        word = self.next
        if not self.took(text):
            fail(self.file, word, f"found `{word.text}`, must be `{text}`.")
        return word

    def name(self, what: str) -> Word:
        """Step over a name, or raise."""
        word = self.take()
        if word.kind != "name":
            fail(self.file, word, f"found `{word.text}`, must be {what}.")
        return word

    def integer(self) -> int:
        """Step over a whole number, or raise."""
        word = self.take()
        if word.kind != "number" or not word.text.isdigit() or len(word.text) > 9:
            fail(self.file, word, f"found `{word.text}`, must be a whole number.")
        return int(word.text)

    def number(self, known: Mapping[str, float]) -> float:
        """Return the value of an expression over + - * / ** ^, functions, pi and the `known` names."""
        word = self.next
        try:
            value = self._sum(known)
        except (ArithmeticError, ValueError):
            fail(self.file, word, "this expression has no real value.")
        if isinstance(value, complex) or not math.isfinite(value):
            fail(self.file, word, "this expression has no finite real value.")
        return value

    def _sum(self, known: Mapping[str, float]) -> float:
        value = self._product(known)
        while self.next.text in ("+", "-"):
            value += self._product(known) if self.take().text == "+" else -self._product(known)
        return value

    def _product(self, known: Mapping[str, float]) -> float:
        value = self._signed(known)
        while self.next.text in ("*", "/"):
            if self.take().text == "*":
                value *= self._signed(known)
            else:
                value /= self._signed(known)
        return value

    def _signed(self, known: Mapping[str, float]) -> float:
        self.depth += 1
        if self.depth > DEEPEST:
            fail(self.file, self.next, f"more than {DEEPEST} signs and parentheses within one another.")
        sign = -1.0 if self.took("-") else 1.0 if self.took("+") else 0.0
        value = sign * self._signed(known) if sign else self._power(known)
        self.depth -= 1
        return value

    def _power(self, known: Mapping[str, float]) -> float:
        value = self._atom(known)
        if self.took("^") or self.took("**"):
            value = value ** self._signed(known)
        return value

    def _atom(self, known: Mapping[str, float]) -> float:
        word = self.take()
        if word.kind == "number":
            return float(word.text)
        if word.text == "(":
            value = self._sum(known)
            self.want(")")
            return value
        if word.kind == "name" and word.text in FUNCTIONS and self.took("("):
            value = FUNCTIONS[word.text](self._sum(known))
            self.want(")")
            return value
        if word.kind == "name" and word.text in known:
            return known[word.text]
        if word.kind == "name" and word.text in CONSTANTS:
            return CONSTANTS[word.text]
        fail(self.file, word, f"found `{word.text}`, must be a number, pi or a parameter.")

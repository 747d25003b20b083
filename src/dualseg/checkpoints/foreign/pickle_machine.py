"""Reads a pickle as data: nothing it names is looked up, imported or called.

Python's own reader finds whatever a pickle names and calls it. This one has a stack, a memo and the
opcodes that state dicts are made of; every name is handed to `resolve`, which knows a literal list.
It counts steps, and the bytes each of them makes, so that a bomb ends early: a pickle may refer to
one large object again and again, so no step may copy without being charged for it.
"""

import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from dualseg.checkpoints.foreign.limits import (
    MAX_NAMES,
    MAX_PICKLE_TEXT,
    MAX_STEPS,
    MAX_TEXT,
    RefusalError,
)
from dualseg.checkpoints.foreign.pickle_values import MAX_KEY, Named, Skipped, as_key

MAX_NUMBER_BYTES = 64
MAX_LINE = 4000
BYTES_PER_ITEM = 16
DAMAGE = (IndexError, KeyError, ValueError, TypeError, AttributeError, struct.error, OverflowError)


class PickleMachine:
    """One pickle out of a file, which is left right behind it.

    Args:
        file: At the first byte of the pickle.
        resolve: From module and name to what stands in for it; refuses what it does not know.
        find_storage: From a persistent id to the storage it describes.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        resolve: Callable[[str, str], Named],
        find_storage: Callable[[Any], Any],
    ):
        self.file = file
        self.resolve = resolve
        self.find_storage = find_storage
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.names: dict[tuple[str, str], Named] = {}
        self.charged = 0

    def load(self) -> Any:
        """The object, made of plain values and of what the builders return.

        Raises:
            RefusalError: The pickle is damaged, too large, or holds what state dicts never hold.
        """
        try:
            for _ in range(MAX_STEPS):
                opcode = self.read(1)
                if opcode == b".":
                    return self.stack.pop()
                step = _STEPS.get(opcode)
                if step is None:
                    raise RefusalError(f"its pickle has opcode {opcode!r}, which none needs")
                step(self)
        except DAMAGE as error:
            raise RefusalError(f"its pickle is damaged ({type(error).__name__})") from None
        raise RefusalError(f"its pickle takes more than {MAX_STEPS:,} steps to read")

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        if len(data) != size:
            raise RefusalError("it ends in the middle of its pickle; the file is cut off")
        return data

    def number(self, layout: str) -> int:
        return struct.unpack(layout, self.read(struct.calcsize(layout)))[0]

    def line(self) -> bytes:
        data = self.file.readline(MAX_LINE)
        if not data.endswith(b"\n"):
            raise RefusalError("its pickle has a line without an end")
        return data[:-1]

    def text(self, size: int) -> bytes | None:
        """So many bytes; None where they are skipped."""
        if size < 0:
            raise RefusalError("its pickle has a text of negative length")
        if size > MAX_TEXT:
            self.file.seek(size - 1, 1)
            self.read(1)  # so that a length beyond the end is noticed
            return None
        self.charge(size)
        return self.read(size)

    def charge(self, num_bytes: int) -> None:
        self.charged += num_bytes
        if self.charged > MAX_PICKLE_TEXT:
            raise RefusalError(f"its pickle holds more than {MAX_PICKLE_TEXT:,} bytes of texts")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def push_text(self, size: int, encoding: str | None) -> None:
        data = self.text(size)
        if data is None:
            self.push(Skipped(size))
        else:
            self.push(data.decode(encoding, "surrogatepass") if encoding else data)

    def pop_to_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.marked.pop()
        return items

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def tuple_of(self, count: int) -> None:
        items = self.stack[-count:]
        if len(items) != count:
            raise IndexError
        self.stack[-count:] = [tuple(items)]

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            target = target.extended()  # of an inert object
        target.extend(items)

    def update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            target = target.mapped()
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[as_key(key)] = value

    def dictionary(self) -> None:
        items = self.pop_to_mark()
        self.push({})
        self.update(items)

    def pop_two(self) -> list[Any]:
        last = self.stack.pop()
        return [self.stack.pop(), last]

    def name(self, module: str, name: str) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError
        if len(module) > MAX_KEY or len(name) > MAX_KEY:
            raise RefusalError("its pickle names something at great length")
        if (module, name) not in self.names:
            if len(self.names) == MAX_NAMES:
                raise RefusalError(f"its pickle names more than {MAX_NAMES:,} things")
            self.names[module, name] = self.resolve(module, name)
        self.push(self.names[module, name])

    def stack_name(self) -> None:
        module, name = self.pop_two()
        self.name(module, name)

    def call(self, arguments: Any) -> None:
        named = self.stack.pop()
        if not isinstance(named, Named) or not isinstance(arguments, tuple):
            raise RefusalError("its pickle calls something that is no part of a state dict")
        for argument in arguments:
            if isinstance(argument, str | bytes):
                self.charge(len(argument))
            elif isinstance(argument, list | tuple | dict):
                self.charge(len(argument) * BYTES_PER_ITEM)
        self.push(named.build(*arguments))

    def call_with_keywords(self) -> None:
        arguments, _ = self.pop_two()
        self.call(arguments)

    def set_state(self) -> None:
        state = self.stack.pop()
        setter = getattr(self.stack[-1], "with_state", None)  # plain values take none
        if setter is not None:
            setter(state)

    def long(self, size: int) -> None:
        if not 0 <= size <= MAX_NUMBER_BYTES:
            raise RefusalError(f"its pickle has a whole number of {size:,} bytes")
        self.push(int.from_bytes(self.read(size), "little", signed=True))

    def text_number(self) -> None:
        line = self.line().rstrip(b"L")
        if len(line) > MAX_NUMBER_BYTES:
            raise RefusalError("its pickle has a whole number of too many digits")
        self.push({b"00": False, b"01": True}[line] if line in (b"00", b"01") else int(line))

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> None:
        self.stack.append(self.memo[index])


def _push(value: Any) -> Callable[[PickleMachine], None]:
    return lambda m: m.push(value)


Step = Callable[[PickleMachine], Any]

_STEPS: dict[bytes, Step] = {
    b"\x80": lambda m: m.read(1),  # protocol
    b"\x95": lambda m: m.read(8),  # frame
    b"(": PickleMachine.mark,
    b"0": lambda m: m.stack.pop(),
    b"1": PickleMachine.pop_to_mark,
    b"2": lambda m: m.push(m.stack[-1]),
    # Numbers
    b"N": _push(None),
    b"\x88": _push(True),
    b"\x89": _push(False),
    b"I": PickleMachine.text_number,
    b"L": PickleMachine.text_number,
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"\x8a": lambda m: m.long(m.number("<B")),
    b"\x8b": lambda m: m.long(m.number("<i")),
    b"F": lambda m: m.push(float(m.line())),
    b"G": lambda m: m.push(m.number(">d")),
    # Texts; those of Python 2 are bytes, and Latin-1 loses none of them
    b"X": lambda m: m.push_text(m.number("<I"), "utf-8"),
    b"\x8c": lambda m: m.push_text(m.number("<B"), "utf-8"),
    b"\x8d": lambda m: m.push_text(m.number("<Q"), "utf-8"),
    b"T": lambda m: m.push_text(m.number("<i"), "latin-1"),
    b"U": lambda m: m.push_text(m.number("<B"), "latin-1"),
    b"B": lambda m: m.push_text(m.number("<I"), None),
    b"C": lambda m: m.push_text(m.number("<B"), None),
    b"\x8e": lambda m: m.push_text(m.number("<Q"), None),
    # Lists, tuples, sets (as lists) and dictionaries
    b"]": lambda m: m.push([]),
    b"}": lambda m: m.push({}),
    b")": _push(()),
    b"\x8f": lambda m: m.push([]),
    b"t": lambda m: m.push(tuple(m.pop_to_mark())),
    b"d": PickleMachine.dictionary,
    b"l": lambda m: m.push(m.pop_to_mark()),
    b"\x91": lambda m: m.push(m.pop_to_mark()),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"a": lambda m: m.extend([m.stack.pop()]),
    b"e": lambda m: m.extend(m.pop_to_mark()),
    b"\x90": lambda m: m.extend(m.pop_to_mark()),
    b"s": lambda m: m.update(m.pop_two()),
    b"u": lambda m: m.update(m.pop_to_mark()),
    # The memo
    b"p": lambda m: m.remember(int(m.line())),
    b"q": lambda m: m.remember(m.number("<B")),
    b"r": lambda m: m.remember(m.number("<I")),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"g": lambda m: m.recall(int(m.line())),
    b"h": lambda m: m.recall(m.number("<B")),
    b"j": lambda m: m.recall(m.number("<I")),
    # Objects
    b"c": lambda m: m.name(m.line().decode(), m.line().decode()),
    b"\x93": PickleMachine.stack_name,
    b"R": lambda m: m.call(m.stack.pop()),
    b"\x81": lambda m: m.call(m.stack.pop()),
    b"\x92": PickleMachine.call_with_keywords,
    b"b": PickleMachine.set_state,
    b"Q": lambda m: m.push(m.find_storage(m.stack.pop())),
}

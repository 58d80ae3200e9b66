"""ARTIQ types, used as annotations of kernels, RPCs and system calls.

The real ones belong to the compiler. These are plain values that carry what an engine needs to check what an RPC
returns: `tag` is the letter of ARTIQ's RPC protocol, the other attributes are the type's parameters (`width` of an
integer, `elt` of a list, array or range, `num_dims` of an array, `elts` of a tuple), and str() gives the name by which
ARTIQ's messages call the type.
"""

from collections.abc import Sequence
from typing import Any

__all__ = [
    "TArray", "TBool", "TByteArray", "TBytes", "TFloat", "TInt32", "TInt64", "TList", "TNone", "TRange32", "TRange64",
    "TStr", "TTuple", "TVar",
]  # fmt: skip


class ARTIQType:
    """A type: a name, an RPC tag, and the parameters that make two types of one name differ."""

    def __init__(self, name: str, tag: str, *parameters: Any) -> None:
        self.name = name
        self.tag = tag
        self._parameters = parameters

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ARTIQType):
            return NotImplemented
        return (self.tag, self._parameters) == (other.tag, other._parameters)

    def __hash__(self) -> int:
        return hash((self.tag, self._parameters))

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__


class TInt(ARTIQType):
    """A signed integer of `width` bits, 32 or 64."""

    def __init__(self, width: int) -> None:
        super().__init__(f"numpy.int{width}", "i" if width == 32 else "I")
        self.width = width


class TVar(ARTIQType):
    """A type that is left to be inferred; equal only to itself."""

    def __init__(self) -> None:
        super().__init__("?", "?", object())


class TList(ARTIQType):
    """A list whose elements all have type `elt`."""

    def __init__(self, elt: Any = None) -> None:
        self.elt = TVar() if elt is None else elt
        super().__init__(f"list(elt={self.elt})", "l", self.elt)


class TArray(ARTIQType):
    """A NumPy array of `num_dims` dimensions whose elements all have type `elt`."""

    def __init__(self, elt: Any = None, num_dims: int = 1) -> None:
        self.elt = TVar() if elt is None else elt
        self.num_dims = num_dims
        super().__init__(f"numpy.array(elt={self.elt}, num_dims={num_dims})", "a", self.elt, num_dims)


class TRange(ARTIQType):
    """A range of integers of type `elt`."""

    def __init__(self, elt: Any = None) -> None:
        self.elt = TVar() if elt is None else elt
        super().__init__(f"range(elt={self.elt})", "r", self.elt)


class TTuple(ARTIQType):
    """A tuple whose elements have the types `elts`."""

    def __init__(self, elts: Sequence[Any] = ()) -> None:
        self.elts = tuple(elts)
        inner = ", ".join(str(elt) for elt in self.elts) + ("," if len(self.elts) == 1 else "")
        super().__init__(f"({inner})", "t", self.elts)


TNone = ARTIQType("NoneType", "n")
TBool = ARTIQType("bool", "b")
TInt32 = TInt(32)
TInt64 = TInt(64)
TFloat = ARTIQType("float", "f")
TStr = ARTIQType("str", "s")
TBytes = ARTIQType("bytes", "B")
TByteArray = ARTIQType("bytearray", "A")
TRange32 = TRange(TInt32)
TRange64 = TRange(TInt64)

"""What kinds of event mean, in one visible table."""

from dataclasses import dataclass

from honeyguide.errors import UnknownName


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event.

    number: how it is stored (never changes; 0 is padding).
    sign:   +1 speaks for the item, -1 against it, 0 says nothing about taste.
    seen:   whether the item counts as already known to the user.
    """

    name: str
    number: int
    sign: int
    seen: bool
    meaning: str


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("impression", 1, 0, False, "the item was shown; nothing more happened"),
        Kind("view", 2, +1, True, "looked at, listened to, watched"),
        Kind("click", 3, +1, True, "opened from a list"),
        Kind("like", 4, +1, True, "said to be good"),
        Kind("dislike", 5, -1, True, "said to be bad"),
        Kind("hide", 6, -1, True, "asked never to be shown again"),
        Kind("cart", 7, +1, True, "put into the cart"),
        Kind("purchase", 8, +1, True, "bought"),
        Kind("return", 9, -1, True, "sent back"),
        Kind("rating", 10, +1, True, "rated; the value says how much (--min-rating cuts)"),
        Kind("search", 11, 0, False, "words typed; has no item, the words stand in text"),
    )
}
BY_NUMBER: dict[int, Kind] = {kind.number: kind for kind in KINDS.values()}


def kind_named(name: str) -> Kind:
    """The kind with this name; UnknownName lists the known ones."""
    if name not in KINDS:
        raise UnknownName("event kind", name, KINDS)
    return KINDS[name]

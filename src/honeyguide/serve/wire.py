"""What goes over the wire: the question and the answer, in the caller's own ids."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

MOST_K = 200
MOST_BODY = 1 << 20
LONGEST_ID = 256

Id = (
    Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
    | Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_ID)]
)


class Question(BaseModel):
    """Whom to recommend to, and what. Exactly one of user_id and session."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    user_id: Id | None = None
    """A user; someone unknown gets what is popular."""
    session: list[Id] | None = None
    """The items of a history, oldest first, of anybody; unknown ones are skipped."""
    candidates: Annotated[list[Id], Field(min_length=1)] | None = None
    """Rank only these; unknown ones come last, with a null score."""
    k: Annotated[StrictInt, Field(ge=1, le=MOST_K)] = 10
    """How many items."""
    exclude_seen: StrictBool | None = None
    """Leave out what the user has seen; by default yes, unless there are candidates."""

    @model_validator(mode="after")
    def _one_asker(self) -> "Question":
        if (self.user_id is None) == (self.session is None):
            raise ValueError("give either user_id or session")
        return self


class Item(BaseModel):
    """One item of a list. title: null where none is known; score: null for unknown candidates."""

    item_id: int | str
    title: str | None
    score: float | None


class Reply(BaseModel):
    """A list, best first. fallback: whether it is what is popular, because nothing is known of who
    asks. model_version: the first 12 digits of the bundle's SHA-256."""

    items: list[Item]
    fallback: bool
    answered_by: Literal["trained-row", "fold-in", "history", "popular"]
    model_version: str

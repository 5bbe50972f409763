"""What the models of a session cost, by a table of prices: an estimate, and no bill."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidSettingError, MissingExtraError, check_log, refuse_unknown
from ..events import InvocationCompleted, ModelCompleted, model_call

if TYPE_CHECKING:
    from ..ids import Point
    from .log import SessionLog

TOKENS = {
    "input": "inputTokens",
    "output": "outputTokens",
    "cache_read": "cacheReadInputTokens",
    "cache_write": "cacheWriteInputTokens",
}
"""What is paid for, and Strands' names for it."""
_LIST_PRICES = Path(__file__).with_name("prices.yaml")
_MILLION, _MOST = 1_000_000, 10**12
_TABLE = "give a list of rows such as {model: '.*claude-haiku-4-5.*', input: 1, output: 5}"


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """What the tokens of a model cost, in US dollars for a million of them.

    Attributes:
        model: A regular expression that fits the whole names of the models it is of.
        input: A million tokens of the prompt.
        output: A million tokens of the answer.
        cache_read: A million tokens that the provider read from its cache.
        cache_write: A million tokens that it wrote there.
        input_includes_cache: Whether the provider counts what it read from its cache among the input, too.

    Raises:
        InvalidSettingError: When something is no price, or the model no regular expression.
    """

    model: str
    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0
    input_includes_cache: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not _is_pattern(self.model):
            raise InvalidSettingError("model", self.model, "give a regular expression for the names of models")
        for kind in TOKENS:
            if not _is_number(price := getattr(self, kind)):
                raise InvalidSettingError(kind, price, "give a price of at least 0, in dollars for a million tokens")
        if not isinstance(self.input_includes_cache, bool):
            raise InvalidSettingError("input_includes_cache", self.input_includes_cache, "give true or false")

    @property
    def dollars(self) -> Mapping[str, float]:
        """What one token that is reported costs, by its kind."""
        prices = {kind: getattr(self, kind) / _MILLION for kind in TOKENS}
        if self.input_includes_cache:
            # They were counted as input already: what is left is the difference, which is less than nothing.
            prices["cache_read"] -= prices["input"]
        return prices

    def cost(self, usage: Mapping[str, Any]) -> float:
        """What a call of the model cost, in dollars, by the tokens that it reported."""
        # More read from the cache than was given at all: then it was not counted among that.
        return max(0.0, sum(price * _tokens(usage.get(TOKENS[kind])) for kind, price in self.dollars.items()))


@dataclass(frozen=True, slots=True)
class SessionCost:
    """What the models of a session cost.

    Attributes:
        dollars: What all calls cost whose model has a price.
        unpriced_tokens: Tokens of models that have none.
        is_exact: Whether what all calls used is known; not of those that were erased, or whose key is not at hand, nor
            where the model told of no tokens.
    """

    dollars: float = 0.0
    unpriced_tokens: int = 0
    is_exact: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether the dollars are of all there was."""
        return self.is_exact and not self.unpriced_tokens

    def __add__(self, other: SessionCost) -> SessionCost:
        """Of both together."""
        return SessionCost(
            self.dollars + other.dollars,
            self.unpriced_tokens + other.unpriced_tokens,
            self.is_exact and other.is_exact,
        )

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values, as `session-log sessions --cost --json` has it."""
        return {"dollars": round(self.dollars, 9), "unpriced_tokens": self.unpriced_tokens, "exact": self.is_exact}


class Prices:
    """What models cost: of the rows that fit the name of a model, the first holds.

    ```python
    cost = Prices.load("prices.yaml").cost_of(log, "s-42")
    print(f"{cost.dollars:.2f} dollars")
    ```

    Args:
        rows: The rows.

    Attributes:
        rows: The rows.
    """

    @refuse_unknown
    def __init__(self, rows: Iterable[ModelPrice]) -> None:
        self.rows = tuple(rows)
        self._found = dict[str, ModelPrice | None]()

    @classmethod
    def load(cls, path: str | Path | None = None) -> Prices:
        """Read a table: a YAML file with a list of mappings that have the attributes of a `ModelPrice`.

        Args:
            path: The file; the list prices of the day of the release if left out.

        Raises:
            InvalidSettingError: When it cannot be read, or something in it is no price.
            MissingExtraError: When PyYAML is not installed, which the extra `cli` brings.
        """
        try:
            import yaml
        except ModuleNotFoundError as error:
            raise MissingExtraError("cli", "reading prices") from error
        file = Path(path or _LIST_PRICES)
        try:
            table = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise InvalidSettingError(
                "prices", str(file), f"it cannot be read: {' '.join(str(error).split())}"
            ) from error
        return cls(_rows(table, file))

    def price_of(self, model: str | None) -> ModelPrice | None:
        """The price of a model; None if it has none."""
        if not isinstance(model, str):
            return None
        if model not in self._found:
            self._found[model] = next((row for row in self.rows if re.fullmatch(row.model, model)), None)
        return self._found[model]

    def cost_of(
        self, log: SessionLog, session_id: str, after: Point | None = None, until: Point | None = None
    ) -> SessionCost:
        """What the models of a session cost; its events are read for it.

        A fork has the calls of its parent up to where it begins, too.

        Args:
            log: The log.
            session_id: The session; one that does not exist has cost nothing.
            after: Only what followed this point.
            until: Only up to and including this point.

        Raises:
            LogForkedError: When the session was deleted or replaced while it was read.
        """
        check_log(log)
        dollars, unpriced, is_exact = 0.0, 0, True
        for model, usage in _calls(log, session_id, after, until):
            if usage is None:
                is_exact = False
            elif price := self.price_of(model):
                dollars += price.cost(usage)
            else:
                unpriced += sum(int(_tokens(usage.get(name))) for name in TOKENS.values())
        return SessionCost(dollars, unpriced, is_exact)


def _calls(
    log: SessionLog, session_id: str, after: Point | None, until: Point | None
) -> Iterator[tuple[Any, Mapping[str, Any] | None]]:
    """The model of each call, and what it used; None where that is not known."""
    for one in log.read(session_id, after, until, types=(ModelCompleted.TYPE, InvocationCompleted.TYPE)):
        if not one.event.has_content:
            yield None, None
            continue
        data = one.event.data if isinstance(one.event.data, Mapping) else {}
        call = model_call(data) if one.event.type == InvocationCompleted.TYPE else data
        if call is not None:
            usage = call.get("usage")
            # A model that tells of no tokens has used some.
            yield call.get("model_id"), usage if isinstance(usage, Mapping) and usage else None


def _rows(table: Any, file: Path) -> Iterator[ModelPrice]:
    if not isinstance(table, list):
        raise InvalidSettingError("prices", str(file), _TABLE)
    known = {field.name for field in fields(ModelPrice)}
    for row in table:
        if not isinstance(row, Mapping) or "model" not in row:
            raise InvalidSettingError("prices", row, _TABLE)
        if unknown := {str(name) for name in row} - known:
            raise InvalidSettingError("prices", row, f"unknown: {', '.join(sorted(unknown))}")
        try:
            yield ModelPrice(**row)
        except InvalidSettingError as error:
            raise InvalidSettingError("prices", row, str(error)) from error


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _MOST


def _tokens(count: Any) -> float:
    """A count of tokens; 0 in place of anything else, which would spoil a sum."""
    return count if _is_number(count) else 0

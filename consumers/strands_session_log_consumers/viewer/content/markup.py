"""Text that anybody may have written, as HTML that can do nothing but be read.

Everything a conversation holds is hostile: models repeat what web pages, mails and tools gave them. So text is escaped,
characters that lie about their place or are not seen are shown by name, Markdown makes neither images nor raw HTML, and
what comes out of it is sanitised once more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import groupby
from typing import Any, Final
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from .secrets import has_private_key, has_secret, secrets_in

LONGEST_MARKDOWN: Final = 64 * 1024
"""In characters; what is longer is shown as it stands."""
MOST_MARKUP: Final = 6_000
"""Of characters that mean something to Markdown, and of cells: each costs 30 microseconds, a letter next to nothing."""
_COSTLY: Final = "[]*_`<>&!|~\\\n"
_LONGEST_HIGHLIGHTED: Final = 16 * 1024
_LANGUAGES: Final = re.compile(
    r"bash|c|c\+\+|console|cpp|css|csv|diff|docker|dockerfile|go|html|ini|java|javascript|js|json|jsx|kotlin|lua|make|markdown"
    r"|md|patch|php|py|pycon|python|r|rb|rs|ruby|rust|sh|shell|sql|swift|toml|ts|tsx|typescript|xml|yaml|yml|zsh"
)
"""Languages that are coloured. Whoever writes a message chooses one, and Pygments has five hundred: not all are in a
hurry with what is no program of theirs."""
_MOST_MARKS: Final = 8
"""Combining marks on one character that are shown: more climb over the lines above."""

_NAMES: Final[Mapping[str, str]] = {
    "\u00ad": "SHY",
    "\u061c": "ALM",
    "\u180e": "MVS",
    "\u200b": "ZWSP",
    "\u200c": "ZWNJ",
    "\u200d": "ZWJ",
    "\u200e": "LRM",
    "\u200f": "RLM",
    "\u2028": "LS",
    "\u2029": "PS",
    "\u202a": "LRE",
    "\u202b": "RLE",
    "\u202c": "PDF",
    "\u202d": "LRO",
    "\u202e": "RLO",
    "\u2060": "WJ",
    "\u2066": "LRI",
    "\u2067": "RLI",
    "\u2068": "FSI",
    "\u2069": "PDI",
    "\ufeff": "BOM",
    "\x00": "NUL",
    "\x1b": "ESC",
    "\x7f": "DEL",
}
_IN_PROSE: Final = frozenset("\u200c\u200d\u200e\u200f\u061c")
"""Joiners and marks that scripts need; in ids and code, where nobody needs them, they are shown."""
_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_HIDDEN: Final = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# A variation of a character is one selector behind it; more of them are letters that are not to be seen.
_UNSEEN: Final = re.compile(f"[{_HIDDEN}]|(?<=[\ufe00-\ufe0f])[\ufe00-\ufe0f]")
_IN_ROW: Final = 8
"""So many of one kind side by side are shown one by one."""
_MOST_TAGGED: Final = 1_000
"""So many places in a text are set off from what is beside them; an element each would be too many for a browser."""
_MARKS: Final = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u06d6-\u06ed\u0730-\u074a\u07eb-\u07f3\u0e31"
    "\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecd\u0f71-\u0f84\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u302a-\u302f"
    "\u3099\u309a\ufe20-\ufe2f]{9,}"
)
_CLASS: Final = re.compile(r"hl-[a-z][a-z0-9]{0,2}|host|unseen|secret|secret-text")
_TAGS: Final = frozenset(
    [
        "a",
        "blockquote",
        "br",
        "code",
        "del",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "s",
        "span",
        "strong",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_ATTRIBUTES: Final = {
    "a": {"href"},
    "code": {"class"},
    "ol": {"start"},
    "pre": {"tabindex"},
    "span": {"class", "tabindex", "title"},
}
_SCHEMES: Final = {"http", "https", "mailto"}
_NOT_IN_ADDRESSES: Final = re.compile(r"[\x00-\x20\\\x7f]")
_COURTESY: Final = "Hidden at the eye only. To be rid of it, erase the event."
_REL: Final = "noopener noreferrer nofollow"
# What is wider than the page scrolls, also for who has no mouse.
_FIXED: Final[Mapping[str, str]] = {"rel": _REL, "tabindex": "0", "title": _COURTESY}


def visible(text: str, *, prose: bool = False) -> Markup:
    """Text as HTML, with a name in place of each character that is not seen or moves others.

    Args:
        text: The text.
        prose: Leave the joiners and direction marks that scripts are written with.
    """
    parts, at = list[Markup](), 0
    for first, last in secrets_in(text):
        parts += [unseen_named(text[at:first], prose), hidden(unseen_named(text[first:last], prose))]
        at = last
    rest = unseen_named(text[at:], prose)
    return Markup("").join([*parts, rest]) if parts else rest


def hidden(secret: Markup) -> Markup:
    """Something that a page hides until somebody clicks on it, or goes there by the keyboard."""
    return Markup('<span class="secret" tabindex="0" title="{}"><span class="secret-text">{}</span></span>').format(
        _COURTESY, secret
    )


def unseen_named(text: str, prose: bool = False) -> Markup:
    """Text as `visible` has it, with nothing hidden."""
    if text.isascii() and text.isprintable():
        return escape(text)
    parts, at = list[str](), 0
    for count, (start, end) in enumerate(_hidden(text, prose)):
        names = "".join(_names(text[start:end]))
        parts += [
            _escaped(text[at:start]),
            f'<span class="unseen">{names}</span>' if count < _MOST_TAGGED else names,
        ]
        at = end
    # All of it is escaped, or ours.
    return Markup("".join([*parts, _escaped(text[at:])]))


def as_text(text: str) -> str:
    """That as text, for attributes and what else has no elements in it."""
    return "".join("".join(_names(part)) if at % 2 else part for at, part in enumerate(_split(text)))


def _split(text: str) -> Iterator[str]:
    """A text in turns: what is seen, what is not."""
    at = 0
    for start, end in _hidden(text, prose=False):
        yield text[at:start]
        yield text[start:end]
        at = end
    yield text[at:]


def _hidden(text: str, prose: bool) -> Iterator[tuple[int, int]]:
    """Where characters stand that are not seen; those side by side are one place."""
    first = last = -1
    for found in _UNSEEN.finditer(text):
        if prose and found.group() in _IN_PROSE:
            continue
        if found.start() != last:
            if first >= 0:
                yield first, last
            first = found.start()
        last = found.end()
    if first >= 0:
        yield first, last


def _names(characters: str) -> Iterator[str]:
    """What they are called; many of one kind by their count."""
    for character, group in groupby(characters):
        count, name = len(list(group)), escape(named(character))
        yield f"\u2039{name}\u203a" * count if count <= _IN_ROW else f"\u2039{name} \u00d7{count:,}\u203a"


def without_ansi(text: str) -> str:
    """Text of a terminal without what coloured it or moved its cursor."""
    return _ANSI.sub("", text)


def named(character: str) -> str:
    """What a character is called that cannot be seen: a short name where it has one, else its number."""
    code = ord(character)
    if 0xE0020 <= code <= 0xE007E:
        return f"TAG {chr(code - 0xE0000)}"
    return _NAMES.get(character) or f"U+{code:04X}"


def _escaped(text: str) -> str:
    return escape(_MARKS.sub(lambda found: found.group()[:_MOST_MARKS], text))


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}, renderer_cls=_Renderer)
    return parser.enable(["table", "strikethrough"])


def markdown(text: str) -> Markup:
    """Markdown as HTML: no raw HTML, no images, links that lead to the web or to a mail, and say where."""
    # A key of many lines is one thing to hide, which Markdown would take apart.
    if not is_parsed(text) or has_private_key(text):
        return Markup('<div class="as-is">{}</div>').format(visible(text, prose=True))
    return Markup(
        nh3.clean(
            _parser().render(text.replace("\x00", "␀")),
            tags=set(_TAGS),
            attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
            attribute_filter=_allowed,
            url_schemes=set(_SCHEMES),
            link_rel=_REL,
            strip_comments=True,
        )
    )


def is_parsed(text: str) -> bool:
    """Whether a text is read as Markdown: neither too long, nor made to keep a parser busy."""
    if len(text) > LONGEST_MARKDOWN:
        return False
    return sum(map(text.count, _COSTLY)) + _cells(text) <= MOST_MARKUP


def _cells(text: str) -> int:
    """How many cells the tables of a text may have: a row has as many as its head, however short it is."""
    lines, cells, rows = text.split("\n"), 0, 0
    for line in reversed(lines):
        rows = rows + 1 if line.strip(" \t>") else 0
        if "-" in line and "|" in line and not line.strip(" \t>|:-"):
            cells += rows * (line.count("|") + 1)
    return cells


def _allowed(tag: str, name: str, value: str) -> str | None:
    """What an attribute may be: whatever the parser made of the text, nothing else leaves here."""
    if name == "class":
        kept = [one for one in value.split() if _CLASS.fullmatch(one)]
        return " ".join(kept) or None
    if name == "href":
        return value if is_outside(value) else None
    if name in _FIXED:
        return value if value == _FIXED[name] else None
    return value if value.isdigit() and len(value) < 10 else None


def is_outside(address: str) -> bool:
    """Whether an address is absolute and one of the web or of a mail: no other is a link."""
    if _NOT_IN_ADDRESSES.search(address):
        # Browsers and Python do not agree on where such an address leads.
        return False
    try:
        parts = urlsplit(address)
        return parts.scheme == "mailto" or (parts.scheme in _SCHEMES and bool(parts.hostname))
    except ValueError:
        return False


class _Renderer(RendererHTML):
    """Markdown's tokens as HTML; text goes through `visible`."""

    def text(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """What is said."""
        return visible(tokens[at].content, prose=True)

    def code_inline(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """A piece of code within a line."""
        return Markup("<code>{}</code>").format(visible(tokens[at].content))

    def code_block(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """Code by indentation."""
        return Markup('<pre tabindex="0"><code>{}</code></pre>\n').format(visible(tokens[at].content))

    def fence(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """Code between fences, coloured if its language is known."""
        language = tokens[at].info.strip().partition(" ")[0]
        return Markup('<pre tabindex="0"><code>{}</code></pre>\n').format(code(tokens[at].content, language))

    def image(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """Never fetched, as that tells somebody that it is read: what it says, and where it is."""
        token = tokens[at]
        text = self.renderInlineAsText(token.children, options, env)
        return Markup('[{}] <span class="host">image at {}</span>').format(
            visible(text, prose=True), visible(str(token.attrGet("src") or ""))
        )

    def link_open(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """A link, if it leads outside."""
        address = str(tokens[at].attrGet("href") or "")
        return Markup('<a href="{}">').format(address) if is_outside(address) else ""

    def link_close(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """Its end, and where it leads: a text may name another place."""
        address = _opened(tokens, at)
        end = "</a>" if is_outside(address) else ""
        return Markup('{}<span class="host">{}</span>').format(Markup(end), visible(f" ({host_of(address)})"))


def host_of(address: str) -> str:
    """Where a link leads; all of the address where it is none of the web."""
    return urlsplit(address).hostname or address if is_outside(address) else address


def _opened(tokens: Sequence[Token], at: int) -> str:
    opened = next(one for one in reversed(tokens[:at]) if one.type == "link_open")
    return str(opened.attrGet("href") or "")


def code(text: str, language: str = "") -> Markup:
    """Code as HTML, coloured by classes where its language is known and it is not very long.

    Args:
        text: The code.
        language: Its name, as after Markdown's fence.
    """
    is_known = _LANGUAGES.fullmatch(language.lower()) is not None
    is_plain = len(text) > _LONGEST_HIGHLIGHTED or _UNSEEN.search(text) or has_secret(text)
    lexer = _lexer(language.lower()) if is_known and not is_plain else None
    if lexer is None:
        return visible(text)
    return Markup(highlight(text, lexer, HtmlFormatter(nowrap=True, classprefix="hl-")).rstrip("\n"))


@lru_cache(maxsize=64)
def _lexer(language: str) -> Any:
    try:
        return get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        # Not in this version.
        return None


def one_line(text: str, limit: int = 200) -> str:
    """The beginning of a text on one line, as text."""
    line = " ".join(text[: 4 * limit].split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"

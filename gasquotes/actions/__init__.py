"""The verbs of a quote, and the only place that moves one: look up, price, issue, accept, close.

A look-up is counted before it is sent; answer, price and move are recorded in one transaction.
What a person issues waits a moment for Stop; a lapsed quote cannot be accepted.
"""

from gasquotes.actions.asking import (
    enquire,
    give_address,
    go_on_when_free,
    look_up_again,
    open_many,
    requote,
    terms_of,
    try_calls_again,
)
from gasquotes.actions.issuing import accept, decline, issue, lapse, stop_issue, take_back, withdraw
from gasquotes.actions.judging import Tariffs, Verdict, accept_referral, judge, settle_price
from gasquotes.actions.looking_up import look_up, take
from gasquotes.actions.outgoing import (
    ISSUE,
    delay_seconds,
    envelope,
    letter_for,
    paper_of,
    preview_document,
    suggested_letter,
    waiting_email,
)
from gasquotes.actions.shared import (
    Clock,
    Enquiry,
    Lapsed,
    NoAddress,
    NoRequote,
    NotOffered,
    Terms,
    TooLate,
)

__all__ = [
    "ISSUE",
    "Clock",
    "Enquiry",
    "Lapsed",
    "NoAddress",
    "NoRequote",
    "NotOffered",
    "Tariffs",
    "Terms",
    "TooLate",
    "Verdict",
    "accept",
    "accept_referral",
    "decline",
    "delay_seconds",
    "enquire",
    "envelope",
    "give_address",
    "go_on_when_free",
    "issue",
    "judge",
    "lapse",
    "letter_for",
    "look_up",
    "look_up_again",
    "open_many",
    "paper_of",
    "preview_document",
    "requote",
    "settle_price",
    "stop_issue",
    "suggested_letter",
    "take",
    "take_back",
    "terms_of",
    "try_calls_again",
    "waiting_email",
    "withdraw",
]

"""The production desk's e-mails to staff: the last day of a window, and its close. Plain Python."""

from collections.abc import Mapping

import msgspec

_MOST_NAMED = 40


class Letter(msgspec.Struct, frozen=True):
    """One e-mail."""

    subject: str
    text: str


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """A month's figures: reports by status, and the systems that have not passed and why."""

    name: str
    closes: str
    counts: Mapping[str, int]
    left: tuple[tuple[str, str, str], ...]
    url: str


def last_day(month: Month) -> Letter:
    """Warn on the last day which systems have not passed."""
    return Letter(
        f"Production {month.name}: {len(month.left)} not passed, the window closes {month.closes}",
        "\n\n".join(
            (
                f"The reporting window for {month.name} closes on {month.closes} (London time).",
                _figures(month),
                "Not passed yet:\n" + _named(month),
                f"Open the month: {month.url}",
            )
        ),
    )


def closed(month: Month) -> Letter:
    """Report the close of a month."""
    rest = "Every system passed." if not month.left else "Not passed:\n" + _named(month)
    return Letter(
        f"Production {month.name}: the window has closed",
        "\n\n".join(
            (
                f"The reporting window for {month.name} closed on {month.closes} (London time).",
                _figures(month),
                rest,
                "What was missed is reported with the next month’s total; "
                "MassCEC spreads it over the gap.",
                f"Open the month: {month.url}",
            )
        ),
    )


def _figures(month: Month) -> str:
    return ", ".join(f"{label}: {count}" for label, count in month.counts.items() if count)


def _named(month: Month) -> str:
    lines = [f"- {system}: {status}. {why}" for system, status, why in month.left[:_MOST_NAMED]]
    more = len(month.left) - _MOST_NAMED
    return "\n".join([*lines, f"- and {more} more"] if more > 0 else lines)

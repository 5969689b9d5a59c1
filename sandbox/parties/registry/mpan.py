"""Invented MPAN cores that pass the industry's check-digit rule.

Thirteen digits: two for the distributor, ten for the meter point, one check digit.
"""

WEIGHTS = (3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43)


def check_digit(first_twelve: str) -> int:
    """Give the thirteenth digit that belongs to the first twelve."""
    total = sum(int(digit) * weight for digit, weight in zip(first_twelve, WEIGHTS, strict=True))
    return total % 11 % 10


def mpan(distributor: int, meter_point: int) -> str:
    """Build a valid MPAN core for a distributor (10 to 23) and a meter point number."""
    first_twelve = f"{distributor:02}{meter_point:010}"
    return f"{first_twelve}{check_digit(first_twelve)}"


def import_mpan(number: int) -> str:
    """Give the import MPAN of the invented home with this number."""
    return mpan(10 + number % 14, 7_000_000_000 + number)


def export_mpan(number: int) -> str:
    """Give the export MPAN of the same home, which differs from its import MPAN."""
    return mpan(10 + number % 14, 7_500_000_000 + number)

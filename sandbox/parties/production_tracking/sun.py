"""How much sunlight each month brings, and the energy to be expected from it.

"There is less sunlight during the winter months, therefore the generated energy … should be less."
The shares and the yield are invented but plausible for Massachusetts; moments are local time.
"""

from calendar import monthrange
from datetime import datetime
from itertools import accumulate

YEARLY_YIELD = 1100.0  # kWh for each kW
# Percent of a year's energy, January to December.
SHARES = (5.6, 6.5, 8.5, 9.5, 10.7, 10.8, 11.7, 10.7, 9.1, 7.2, 5.1, 4.6)
BEFORE = (0.0, *accumulate(SHARES))
LOW, HIGH = 0.3, 1.7


def years_of_sun(moment: datetime) -> float:
    """Give the years of sunlight up to a moment; only differences mean anything."""
    month = moment.month - 1
    days = monthrange(moment.year, moment.month)[1]
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    gone = (moment.day - 1 + (moment - midnight).total_seconds() / 86_400) / days
    return moment.year + (BEFORE[month] + SHARES[month] * gone) / 100


def expected(capacity: float, since: datetime, until: datetime) -> float:
    """Give the energy in kWh to be expected of a capacity in kW between two moments."""
    return capacity * YEARLY_YIELD * (years_of_sun(until) - years_of_sun(since))

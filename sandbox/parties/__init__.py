"""The parties that the sandbox plays, in the order of their own ports."""

from collections.abc import Mapping

from sandbox.parties.market_messages import MarketMessages
from sandbox.parties.meters import Meters
from sandbox.parties.production_tracking import ProductionTracking
from sandbox.parties.registry import Registry
from sandbox.parties.supply_points import SupplyPoints
from sandbox.party import Party


def all_parties(environment: Mapping[str, str]) -> list[Party]:
    """Make every party, with the credentials that the environment names; raises BadRequest."""
    return [
        Registry(
            user=environment.get("SANDBOX_SEG_USER") or Registry.USER,
            token=environment.get("SANDBOX_SEG_TOKEN") or Registry.TOKEN,
        ),
        Meters(),
        SupplyPoints.of(environment),
        MarketMessages(
            key=environment.get("SANDBOX_SIP_KEY") or MarketMessages.KEY,
            header=environment.get("SANDBOX_SIP_KEY_HEADER") or MarketMessages.HEADER,
            scheme=environment.get("SANDBOX_SIP_KEY_SCHEME", MarketMessages.SCHEME),
        ),
        ProductionTracking(
            key=environment.get("SANDBOX_PTS_KEY") or ProductionTracking.KEY,
            subscription_key=environment.get("SANDBOX_PTS_SUBSCRIPTION_KEY")
            or ProductionTracking.SUBSCRIPTION_KEY,
            window=environment.get("SANDBOX_PTS_WINDOW") or "dates",
        ),
    ]

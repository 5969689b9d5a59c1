"""The meter communications service, played from its request and result API text."""

from sandbox.parties.meters.party import Meters

__all__ = ["Meters"]

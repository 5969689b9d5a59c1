"""The Supply Point Quantities service, played from its technical specification."""

from sandbox.parties.supply_points.party import SupplyPoints

__all__ = ["SupplyPoints"]

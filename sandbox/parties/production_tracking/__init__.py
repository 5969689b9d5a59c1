"""The MassCEC Production Tracking System, played from its automated reporting API text."""

from sandbox.parties.production_tracking.party import ProductionTracking

__all__ = ["ProductionTracking"]

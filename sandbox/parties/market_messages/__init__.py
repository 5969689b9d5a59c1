"""The Safe Isolation Provider service, played from its API document, version 4."""

from sandbox.parties.market_messages.party import MarketMessages

__all__ = ["MarketMessages"]

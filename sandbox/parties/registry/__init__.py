"""The MCS installation registry, played from its API guidance, issue 1.1 (21/11/2019)."""

from sandbox.parties.registry.party import Registry

__all__ = ["Registry"]

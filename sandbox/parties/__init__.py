"""The parties that the sandbox plays, in the order of their own ports."""

from collections.abc import Mapping

from sandbox.parties.meters import Meters
from sandbox.parties.registry import Registry
from sandbox.party import Party


def all_parties(environment: Mapping[str, str]) -> list[Party]:
    """Make every party, with the credentials that the environment names."""
    return [
        Registry(
            user=environment.get("SANDBOX_SEG_USER") or Registry.USER,
            token=environment.get("SANDBOX_SEG_TOKEN") or Registry.TOKEN,
        ),
        Meters(),
    ]

"""Every point of the service, kept or made, found by MPRN, address_id or address."""

from collections.abc import Sequence

from sandbox.parties.supply_points import ordinary, special
from sandbox.parties.supply_points.asked import Asked
from sandbox.parties.supply_points.point import Point


class PointRegister:
    """Finds points; never changes them."""

    def __init__(self) -> None:
        self.special = special.points()
        self.kept = ordinary.kept()
        self._by_mprn: dict[str, Point] = {}
        self._by_address_id: dict[str, list[Point]] = {}
        self._by_postcode: dict[str, list[Point]] = {}
        for point in (*self.special, *self.kept):
            self._by_mprn[point.mprn] = point
            self._by_address_id.setdefault(point.address_id, []).append(point)
            postcode = str(point.fields["postcode"] or "")
            self._by_postcode.setdefault(postcode, []).append(point)

    def by_mprn(self, mprn: str) -> Point | None:
        """Give the point with this MPRN."""
        return self._by_mprn.get(mprn) or ordinary.made_by_mprn(mprn)

    def find(self, asked: Asked) -> Sequence[Point]:
        """Give every point that matches."""
        if asked.kind == "mprn":
            point = self.by_mprn(asked.text)
            return [point] if point else []
        if asked.kind == "address_id":
            made = ordinary.made_by_address_id(asked.text)
            return [made] if made else self._by_address_id.get(asked.text, [])
        return [point for point in self._at(asked.text.upper()) if _matches(point, asked)]

    def _at(self, postcode: str) -> list[Point]:
        """Give the points of a postcode, which is not found without its space."""
        return self._by_postcode.get(postcode) or ordinary.made_by_postcode(postcode)


def _matches(point: Point, asked: Asked) -> bool:
    return all(
        str(point.fields[name] or "").casefold() == text.casefold()
        for name, text in asked.details.items()
    )

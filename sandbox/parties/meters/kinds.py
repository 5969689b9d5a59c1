"""Meter types with their registers; which of them keep half hours as a running total.

The specification's own list was lost ("Currently:"), so these are the types seen elsewhere.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Register:
    """A register: what it follows (import or export), and with how many thousandths."""

    name: str
    units: str
    follows: str
    permille: int


REGISTERS = {
    register.name: register
    for register in (
        Register("kWh Import", "kWh", "import", 1000),
        Register("kWh Export", "kWh", "export", 1000),
        Register("kvarh Q1", "kvarh", "import", 310),
        Register("kvarh Q2", "kvarh", "export", 60),
        Register("kvarh Q3", "kvarh", "export", 25),
        Register("kvarh Q4", "kvarh", "import", 45),
        Register("kVAh", "kVAh", "import", 1060),
        Register("Custom 1", "kWh", "import", 640),
        Register("Custom 2", "kWh", "import", 360),
    )
}
ENERGY = ("kWh Import", "kWh Export")


@dataclass(frozen=True, slots=True)
class MeterType:
    """A meter type: its code, its registers, and what a survey value of it means."""

    code: str
    registers: tuple[str, ...]
    cumulative: bool = True

    @property
    def survey(self) -> str:
        """Say what its survey values are."""
        return "cumulative" if self.cumulative else "per period"


TYPES = {
    kind.code: kind
    for kind in (
        MeterType("ELSTER_A1700", tuple(REGISTERS)),
        MeterType("ELSTER_A1140", (*ENERGY, "kvarh Q1", "kvarh Q4")),
        MeterType("ELSTER_AS230", ENERGY, cumulative=False),
        MeterType("ISKRA_MX37X", ENERGY, cumulative=False),
        MeterType("EMLITE_COP10", ENERGY, cumulative=False),
        MeterType("LG_DLMS", ENERGY),
        MeterType("PREMIER_PRI", (*ENERGY, "kvarh Q1", "kvarh Q4")),
        MeterType("CEWE_PRO", (*ENERGY, "kvarh Q1", "kvarh Q2", "kvarh Q3", "kvarh Q4")),
        MeterType("EDMI_ATLAS", (*ENERGY, "kvarh Q1", "kvarh Q4")),
    )
}

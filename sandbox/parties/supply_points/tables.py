"""The tables of the Supply Point Quantities specification: filters, fields, errors, and networks.

"Input Parameters", "Output Parameters" and "Error Codes and Descriptions", name by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PRODUCT = "Supply Point Quantities"
PATH = "/v1/Shipper.svc"

# Filter: the longest text it takes. Exactly one of the first three is sent.
KINDS = {"mprn": 50, "address_id": 30, "postcode": 10}
ADDRESS = {
    "house_no": 10,
    "sub_building_name": 40,
    "street": 40,
    "town": 40,
    "county": 3,
    "country": 3,
    "dependent_street": 40,
    "dependent_local": 40,
}

# Field: the longest text; None where it is a quantity, 16 digits with 7 of them decimals.
FIELDS: Mapping[str, int | None] = {
    "amr_indicator": 3,
    "country": 3,
    "county": 3,
    "csep_id": 10,
    "current_aq_roll_value": None,
    "current_formula_year_aq_value": None,
    "current_formula_year_soq_value": None,
    "current_soq_roll_value": None,
    "dependent_local": 40,
    "dependent_street": 40,
    "distribution_network_operator": 40,
    "exit_zone": 10,
    "house_no": 10,
    "local_distribution_zone": 10,
    "market_sector_code": 10,
    "mprn": 50,
    "perspective_formula_year_aq_value": None,
    "perspective_formula_year_effective_date": 24,
    "perspective_formula_year_soq_value": None,
    "postcode": 10,
    "street": 40,
    "sub_building_name": 40,
    "town": 40,
    "installation_number": 40,
}
QUANTITIES = tuple(name for name, longest in FIELDS.items() if longest is None)
EFFECTIVE_DATE = "perspective_formula_year_effective_date"


@dataclass(frozen=True, slots=True)
class Zone:
    """A local distribution zone: its network, and an invented town and postcode area in it."""

    code: str
    network: str
    town: str
    area: str


CADENT = "Cadent Gas Limited"
NORTHERN = "Northern Gas Networks Limited"
SCOTLAND = "Scotland Gas Networks Plc."
SOUTHERN = "Southern Gas Networks Plc."
WALES_AND_WEST = "Wales & West Utilities Limited"
ZONES = (
    Zone("EA", CADENT, "SEDGEWOLD", "AW"),
    Zone("EM", CADENT, "HARROWMERE", "CX"),
    Zone("NE", NORTHERN, "KIRKSTAITH", "EW"),
    Zone("NO", NORTHERN, "WEXHOLME", "FW"),
    Zone("NT", CADENT, "MARROWBY", "GW"),
    Zone("NW", CADENT, "PELLGATE", "JW"),
    Zone("SC", SCOTLAND, "GLENFARROW", "KX"),
    Zone("SE", SOUTHERN, "OSTERDEN", "LW"),
    Zone("SO", SOUTHERN, "QUENMOUTH", "MW"),
    Zone("SW", WALES_AND_WEST, "TREVASSEY", "NX"),
    Zone("WM", CADENT, "BRACKENHOLT", "PX"),
    Zone("WN", WALES_AND_WEST, "LLANFERRIN", "RX"),
    Zone("WS", WALES_AND_WEST, "ABERSELWYN", "YW"),
)

NOT_AUTHORISED = "You are not authorised to view this data."
# Error of the service: HTTP status and fault string.
SERVICE_ERRORS = {
    "e001": (400, "Request cannot be empty, please submit at least one unique identifier."),
    "e002": (200, f"Requested address has twin stream meter device. {NOT_AUTHORISED}"),
    "e003": (200, f"Requested address has shared supply meter device. {NOT_AUTHORISED}"),
    "e004": (
        200,
        f"Requested address has twin stream and shared supply meter device. {NOT_AUTHORISED}",
    ),
    "e005": (200, f"Requested address has extinct meter device. {NOT_AUTHORISED}"),
    "e006": (200, f"Requested address has non domestic meter device. {NOT_AUTHORISED}"),
    "e007": (200, "Requested meter reference number is not found."),
    "e008": (
        200,
        (
            "Requested meter reference number has more than one matching records; "
            "data can only be provided for unique match."
        ),
    ),
    "e009": (
        200,
        (
            "Submitted address details has multiple records; "
            "data is only provided for unique number."
        ),
    ),
    "e010": (500, "Unexpected error occurred while processing request"),
    "e011": (
        200,
        (
            "Requested address has no matching record. This may be because, there is no gas meter "
            "at this property (or) full postcode with a space is not entered (or) the entered "
            "details are incorrect."
        ),
    ),
}

UNFINISHED = (
    "Application creation process has not completed due to technical issues, "
    "please contact or raise a fault with the system administrator."
)
BAD_KEY = "Application Key sent in API request is either empty or invalid."
# Error of the gateway by its last part: HTTP status, error code, fault string with its {limit}.
GATEWAY_ERRORS = {
    "ThreatDetected": (
        500,
        "steps.regexprotection.ThreatDetected",
        (
            "Regular expression threat is detected in the API request, "
            "please check the data entered."
        ),
    ),
    "FailedToResolveAPIKey": (401, "steps.oauth.v2.FailedToResolveAPIKey", BAD_KEY),
    "InvalidApiKey": (401, "oauth.v2.InvalidApiKey", "Invalid ApiKey"),
    "custom.config.1": (500, "policies.custom.config.1", UNFINISHED),
    "custom.config.2": (500, "policies.custom.config.2", UNFINISHED),
    "custom.config.3": (500, "policies.custom.config.3", UNFINISHED),
    "SpikeArrestViolation": (
        500,
        "policies.ratelimit.SpikeArrestViolation",
        (
            f"Number of API requests for {PRODUCT} has exceeded the allowed spike limit of "
            "{limit} per minute."
        ),
    ),
    "QuotaViolation": (
        500,
        "policies.ratelimit.QuotaViolation",
        (
            f"Number of API requests for {PRODUCT} has exceeded the allowed quota limit of "
            "{limit} per month."
        ),
    ),
}

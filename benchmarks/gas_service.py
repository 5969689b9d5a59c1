"""A supply point service that answers every MPRN after so many milliseconds, and counts.

`python -m benchmarks.gas_service <milliseconds>` prints its port; GET /seen tells when calls came.
"""

import asyncio
import json
import sys
import time
from urllib.parse import parse_qs, urlsplit

POINT = {
    "amr_indicator": "", "country": "GB", "county": "", "csep_id": "",
    "current_aq_roll_value": 0.012, "current_formula_year_aq_value": 0.012,
    "current_formula_year_soq_value": 0.0000967, "current_soq_roll_value": 0.0000967,
    "dependent_local": "", "dependent_street": "",
    "distribution_network_operator": "Wales & West Utilities Limited", "exit_zone": "SW1",
    "house_no": "10", "local_distribution_zone": "SW", "market_sector_code": "D",
    "perspective_formula_year_aq_value": 0.0125,
    "perspective_formula_year_effective_date": "2027-04-01T00:00:00.000Z",
    "perspective_formula_year_soq_value": 0.0001, "postcode": "NX3 2AF", "street": "MILL LANE",
    "sub_building_name": "", "town": "TREVASSEY", "installation_number": "3000000001",
}  # fmt: skip
seen: list[tuple[float, str]] = []


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wait: float) -> None:
    """Answer one connection's requests, each after its time."""
    while line := await reader.readline():
        target = urlsplit(line.split()[1].decode())
        while (await reader.readline()).strip():
            pass
        if target.path == "/seen":
            body = json.dumps(seen).encode()
        else:
            mprn = parse_qs(target.query)["mprn"][0]
            seen.append((time.time(), mprn))
            await asyncio.sleep(wait)
            body = json.dumps({"mprn": {**POINT, "mprn": mprn}}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        writer.write(head.encode() + b"\r\n\r\n" + body)
        await writer.drain()
    writer.close()


async def main(milliseconds: int) -> None:
    """Serve until killed."""
    server = await asyncio.start_server(
        lambda reader, writer: _serve(reader, writer, milliseconds / 1000), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

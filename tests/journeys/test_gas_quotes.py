"""Gas quotes: from an MPRN or an address to a PDF, thousands at once, and the next formula year."""

import email
import io
import re
from pathlib import Path

import pytest
import typst
from PIL import Image

from sandbox.parties.supply_points.mprn import mprn
from tests.journeys.browser import WIDE, expect, look, look_at_all_sides
from tests.journeys.pages import sign_in

HOME, SHOP = "1234567810", "9876543209"
RISES, FALLS, UP_A_BAND = "7000032508", "7000032609", "7000032104"
THROUGH = "All of them are through"
A_MINUTE = 60_000  # a killed worker's lines are free again after 30 seconds


@pytest.fixture
def desk(town, window):
    """Maud at her desk, with prices to quote."""
    town.clerk.ask("publish_prices", who=town.people["ines"][0])
    return sign_in(window("Maud"), town, "maud", to="/gas-quotes/")


def enquire(page, **typed):
    """Fill in the form for a new quote and send it."""
    page.goto("/gas-quotes/enquire/")
    if "Postcode" in typed:
        page.get_by_label("The postcode and address").check()
    for label, text in typed.items():
        page.get_by_label(re.compile(f"^{label}")).fill(text)
    page.get_by_label("24 months").check()
    look(page, "enquiry")
    page.get_by_role("button", name="Look up and price").click()
    page.wait_for_url("**/gas-quotes/quotes/**")


def look_up(page, title, mprns):
    """Upload a list, keep it as a portfolio and start it."""
    page.goto("/gas-quotes/runs/add/")
    page.get_by_label("What is this list?").fill(title)
    body = "\n".join(("MPRN", *mprns)).encode()
    file = {"name": "list.csv", "mimeType": "text/csv", "buffer": body}
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_label("Keep it as a portfolio").check()
    look(page, "upload")
    page.get_by_role("button", name="Read this file").click()
    expect(page.get_by_role("heading", name="Check this list")).to_be_visible()
    look(page, "preview")
    page.get_by_role("button", name="Start looking up").click()


def drawn(pdf, folder):
    """The pages of a PDF as pictures."""
    (folder / "quote.pdf").write_bytes(pdf)
    numbers = range(1, len(re.findall(rb"/Type\s*/Page\b", pdf)) + 1)
    pages = [f'#image("quote.pdf", page: {number}, alt: "Page")' for number in numbers]
    sheet = folder / "sheet.typ"
    margins = "#set page(width: auto, height: auto, margin: 0pt)\n"
    sheet.write_text(margins + "\n#pagebreak()\n".join(pages))
    found = typst.compile(sheet, format="png", ppi=100.0)
    return [Image.open(io.BytesIO(each)) for each in (found if len(pages) > 1 else [found])]


def test_one_quote_from_mprn_to_pdf(town, desk, tmp_path):
    """Enquire, watch it being priced, issue it by e-mail, and open what the customer gets."""
    enquire(desk, MPRN=HOME, Customer="Mill Lane Bakery", **{"E-mail": "office@mill.example"})
    expect(desk.get_by_role("heading", name="The price")).to_be_visible()
    expect(desk.locator(".case-head").get_by_text("Ready")).to_be_visible()
    look_at_all_sides(desk, "priced")
    desk.get_by_role("link", name="Issue the quote").click()
    expect(desk.get_by_alt_text(re.compile("^Page 1 of the quote"))).to_be_visible()
    look_at_all_sides(desk, "check")
    desk.get_by_label("By e-mail to office@mill.example").check()
    desk.get_by_role("button", name="Issue this quote").click()
    expect(desk.get_by_role("button", name="Stop, do not send")).to_be_visible()
    look(desk, "sending")
    expect(desk.get_by_role("heading", name="The e-mail has left.")).to_be_visible()
    desk.get_by_role("link", name=re.compile("^Back to GQ-")).click()
    look_at_all_sides(desk, "issued")
    with desk.expect_download() as download:
        desk.get_by_role("link", name=re.compile("^Download GQ-")).click()
    pdf = Path(download.value.path()).read_bytes()
    assert download.value.suggested_filename.endswith(".pdf")
    assert pdf == attached(town)
    for number, page in enumerate(drawn(pdf, tmp_path), 1):
        page.save(tmp_path / f"quote-{number}.png")
        assert page.width > 500
        assert len(page.convert("L").getcolors()) > 50
    desk.get_by_role("link", name="Record that the customer accepts").click()
    desk.get_by_label("How the customer accepted").fill("Signed copy by e-mail")
    look(desk, "accept")
    desk.get_by_role("button", name="Record the acceptance").click()
    expect(desk.locator(".case-head").get_by_text("Accepted", exact=True)).to_be_visible()


def attached(town):
    """The PDF in the newest e-mail that has one."""
    for file in sorted(town.mail_folder.iterdir(), key=lambda one: one.stat().st_mtime)[::-1]:
        for part in email.message_from_bytes(file.read_bytes()).walk():
            if part.get_content_type() == "application/pdf":
                return part.get_payload(decode=True)
    raise AssertionError("No e-mail has a PDF.")


def test_an_issued_quote_without_e_mail_can_be_stopped(desk):
    """The PDF is void, the quote is ready again, and both say so."""
    enquire(desk, MPRN=SHOP, Customer="Fairlight Café")
    desk.get_by_role("link", name="Issue the quote").click()
    desk.get_by_label("Without e-mail").check()
    desk.get_by_role("button", name="Issue this quote").click()
    stop = desk.get_by_role("button", name="Stop, do not issue")
    expect(stop).to_be_visible()
    look(desk, "moment to stop")
    stop.click()
    expect(desk.locator(".case-head").get_by_text("Ready")).to_be_visible()
    expect(desk.get_by_text("Void", exact=True)).to_be_visible()
    look(desk, "stopped")


def test_an_address_that_fits_more_than_one_meter_point(desk):
    """The service finds several; the house number tells them apart."""
    enquire(desk, Postcode="aw10aa", Customer="Edith Larkin")
    expect(desk.get_by_role("heading", name="More than one meter point fits")).to_be_visible()
    look_at_all_sides(desk, "needs more")
    desk.get_by_role("link", name="Look up with more of the address").click()
    expect(desk.get_by_role("textbox", name="Postcode")).to_have_value("AW1 0AA")
    desk.get_by_role("button", name="Look up again").click()
    expect(desk.get_by_role("alert")).to_contain_text("change something first")
    look_at_all_sides(desk, "nothing changed")
    desk.get_by_label(re.compile("^House number")).fill("5")
    desk.get_by_role("button", name="Look up again").click()
    expect(desk.get_by_role("heading", name="The price")).to_be_visible()
    expect(desk.get_by_role("heading", level=1)).to_contain_text("5000003900")


def test_many_look_ups_outlive_the_worker(town, desk):
    """The worker is killed in the middle and started again; nothing is lost, repeats are counted."""
    mprns = [mprn(f"420{n:05}") for n in range(3000, 3150)]
    look_up(desk, "Harbour Foods, all sites", mprns)
    expect(desk.get_by_role("heading", name="Looking up")).to_be_visible()
    look(desk, "running")
    town.until(lambda: done(town) >= 20)
    town.kill("worker")
    assert done(town) < len(mprns)
    town.start("worker")
    desk.reload()
    expect(desk.get_by_role("heading", name=THROUGH)).to_be_visible(timeout=2 * A_MINUTE)
    look_at_all_sides(desk, "through")
    lines = town.clerk.ask("lines")
    assert [line[0] for line in lines] == mprns
    assert {line[1] for line in lines} == {"done"}
    assert sum(line[2] for line in lines) <= 32 + 50


def done(town):
    """How many lines of the newest run are done."""
    return sum(state == "done" for _, state, _ in town.clerk.ask("lines"))


def test_the_next_formula_year_and_quotes_for_it(desk):
    """What rises and falls, another band, and new quotes for the points that were chosen."""
    look_up(desk, "Lantern Lettings", [RISES, FALLS, UP_A_BAND])
    expect(desk.get_by_role("heading", name=THROUGH)).to_be_visible()
    desk.get_by_role("link", name="formula year watch").click()
    expect(desk.get_by_role("heading", name="Largest rises")).to_be_visible()
    look_at_all_sides(desk, "watch")
    desk.set_viewport_size({"width": WIDE, "height": 900})
    for point in (RISES, UP_A_BAND):
        desk.get_by_label(f"Select {point}").check()
    look(desk, "chosen")
    desk.get_by_role("button", name="Re-quote these").click()
    expect(desk.get_by_role("heading", name="Quote 2 supply points")).to_be_visible()
    look_at_all_sides(desk, "terms")
    desk.get_by_role("button", name="Make quotes for 2 supply points").click()
    expect(desk.get_by_role("heading", name=THROUGH)).to_be_visible()
    look(desk, "ordered")
    desk.get_by_role("link", name="See these quotes").first.click()
    expect(desk.locator("tbody tr")).to_have_count(2)
    look_at_all_sides(desk, "quotes")


def test_the_other_pages_of_the_desk(town, desk, window):
    """Prices, codes, portfolios, runs and the empty forms: for axe, wide and narrow."""
    for path in ("", "prices/", "prices/import/", "codes/", "portfolios/", "runs/", "runs/add/"):
        desk.goto(f"/gas-quotes/{path}")
        look_at_all_sides(desk, path or "list")
    desk.goto("/gas-quotes/prices/")
    desk.get_by_role("link", name="JOURNEYS").click()
    look_at_all_sides(desk, "price book")
    petra = sign_in(window("Petra"), town, "petra", to="/gas-quotes/")
    expect(petra.get_by_role("link", name="New quote")).to_have_count(0)

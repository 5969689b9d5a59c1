"""The control page, its JSON calls, and who may use them."""

import json
import re
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest

FORM = "application/x-www-form-urlencoded"


def fault(**fields):
    return {"party": "registry", "fault": "500", "calls": 1} | fields


def test_switching_faults_over_json(caller):
    on = caller.control("POST", "/faults", fault(fault="slow", seconds=1.5, match="X"))
    assert on.status == 201
    assert on.json | fault(fault="slow", match="X") | {"calls_left": 1} == on.json | {"calls": 1}
    assert on.json["settings"]["seconds"] == 1.5
    listed = caller.control("GET", "/faults").json
    assert listed["on"] == [on.json]
    assert {"fault": "hang", "title": "Hangs: reads, never answers", "seconds": 120.0} in listed[
        "known"
    ]
    assert caller.control("DELETE", f"/faults/{on.json['id']}").json == {"switched_off": 1}
    assert caller.control("GET", "/faults").json["on"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"party": "nobody"},
        {"fault": "earthquake"},
        {"calls": 0},
        {"calls": "many"},
        {"calls": 1.5},
        {"fault": "slow", "seconds": -1},
        {"fault": "slow", "seconds": 10_000},
        {"fault": "refuse", "calls": 1},
        {"sconds": 3},
    ],
)
def test_a_fault_that_is_not_understood_is_400_and_not_switched_on(caller, fields):
    reply = caller.control("POST", "/faults", fault(**fields))
    assert reply.status == 400
    assert reply.json["details"].endswith(".")
    assert caller.control("GET", "/faults").json["on"] == []


@pytest.mark.parametrize("body", ["{", "[]", "\xff"])
def test_a_body_that_is_no_json_object_is_400(caller, played, body):
    headers = {"Content-Type": "application/json"}
    reply = caller.send("POST", f"{played.url}/control/faults", body.encode("latin-1"), headers)
    assert reply.status == 400


def test_the_log_can_be_chosen_from(caller):
    for number in ("MCS-01109073-U", "MCS-80000001-A"):
        caller.look_up(number)
    newest, oldest = caller.control("GET", "/log?wait=5").json["entries"]
    assert oldest["path"].endswith("/MCS-01109073-U")
    assert newest["path"].endswith("/MCS-80000001-A")
    assert (newest["method"], newest["status"], newest["credentials"]) == ("GET", 200, True)
    assert newest["written"] is True
    by_number = caller.control("GET", "/log?party=registry&number=MCS-01109073-U").json["entries"]
    assert [entry["id"] for entry in by_number] == [oldest["id"]]
    after = caller.control("GET", f"/log?after={oldest['id']}").json["entries"]
    assert [entry["id"] for entry in after] == [newest["id"]]
    assert caller.control("GET", "/log?party=other").json["entries"] == []
    assert caller.control("GET", "/log?limit=none").status == 400
    caller.control("DELETE", "/log")
    assert caller.control("GET", "/log").json["entries"] == []


def test_certificates_can_be_listed_by_group(caller):
    assert len(caller.control("GET", "/certificates?group=uat").json) == 20
    assert len(caller.control("GET", "/certificates").json) > 60


def test_reset_forgets_everything(caller):
    caller.control("POST", "/faults", fault(calls=None))
    caller.look_up("MCS-01109073-U")
    assert caller.control("POST", "/reset", {}).status == 200
    assert caller.control("GET", "/faults").json["on"] == []
    assert caller.control("GET", "/log").json["entries"] == []


def test_addresses_of_the_parties(caller, played):
    parties = caller.control("GET", "/parties").json["parties"]
    assert [party["name"] for party in parties] == [
        "registry",
        "meters",
        "supply-points",
        "market-messages",
        "production-tracking",
    ]
    for party in parties:
        assert party["shared_url"] == f"{played.url}/{party['name']}"
        assert party["own_url"] == played.party_url(party["name"])
        assert party["own_url"] != party["shared_url"]


# Who may change anything.


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": FORM},
        {"Content-Type": FORM, "Origin": "null"},
        {"Content-Type": FORM, "Origin": "http://elsewhere.example"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json", "Origin": "http://elsewhere.example"},
        {"Content-Type": "application/json", "Origin": "http://127.0.0.1:1"},
        {},
    ],
)
@pytest.mark.parametrize("path", ["/faults", "/reset", "/certificates/MCS-01109073-U"])
def test_a_page_from_elsewhere_changes_nothing(caller, played, headers, path):
    caller.control("POST", "/faults", fault(calls=None, match="nothing"))
    body = urlencode(fault()) if headers.get("Content-Type") == FORM else json.dumps(fault())
    reply = caller.send("POST", f"{played.url}/control{path}", body, headers)
    assert reply.status == 403
    assert len(caller.control("GET", "/faults").json["on"]) == 1


def test_a_page_from_elsewhere_deletes_nothing(caller, played):
    headers = {"Origin": "http://elsewhere.example"}
    assert caller.send("DELETE", f"{played.url}/control/faults", None, headers).status == 403


@pytest.mark.parametrize("host", ["portal.example", "127.0.0.1.example", "[::1", "10.0.0.1", ""])
@pytest.mark.parametrize("path", ["/", "/control/log", "/registry/GetInstallation/x"])
def test_a_foreign_host_name_is_refused(caller, played, host, path):
    assert caller.send("GET", played.url + path, None, {"Host": host}).status == 403


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:80"])
def test_loopback_host_names_are_accepted(caller, played, host):
    assert caller.send("GET", f"{played.url}/", None, {"Host": host}).status == 200


def test_no_answer_permits_other_origins(caller, played):
    for method, path in (("GET", "/control/log"), ("OPTIONS", "/control/faults")):
        reply = caller.send(method, played.url + path, None, {"Origin": "http://elsewhere.example"})
        assert not [name for name in reply.headers if name.startswith("Access-Control")]


# The page.


class Page(HTMLParser):
    """Collects what a browser would load, follow, run or send."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.forms, self.ids, self.labels = [], [], [], [], []
        self.attributes = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.attributes |= set(given)
        self.links += [given[name] for name in ("href", "src") if name in given]
        self.ids += [given["id"]] if "id" in given else []
        if tag == "form":
            self.forms.append((given["action"], {}))
        elif tag == "input" and self.forms:
            self.forms[-1][1][given["name"]] = given.get("value", "")
        elif tag == "label":
            self.labels.append(given["for"])


@pytest.fixture
def page(caller, played):
    caller.look_up("MCS-01109073-U")
    played.switch_on("registry", "500", calls=2, match="<b>&")
    reply = caller.send("GET", f"{played.url}/")
    assert reply.status == 200
    return reply


def test_the_page_runs_nothing_and_loads_nothing_from_elsewhere(page):
    read = Page(page.body.decode())
    assert not {"script", "style", "iframe", "img"} & set(read.tags)
    assert not [name for name in read.attributes if name == "style" or name.startswith("on")]
    assert all(link.startswith(("/", "#", "data:,")) for link in read.links)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_the_page_is_well_formed(page):
    read = Page(page.body.decode())
    assert len(read.ids) == len(set(read.ids))
    assert set(read.labels) <= set(read.ids)
    assert {link[1:] for link in read.links if link.startswith("#")} <= set(read.ids)


def test_the_page_shows_faults_log_and_records(page):
    text = page.body.decode()
    assert "&lt;b&gt;&amp;" in text
    assert "<b>&" not in text
    assert "/registry/GetInstallation/MCS-01109073-U" in text
    assert "MCS-70000001-B" in text
    assert "Over 50 kW" in text
    assert re.search(r'title="\d{4}-\d\d-\d\d [\d:]{8} UTC"', text)


def send_form(caller, played, action, fields):
    headers = {"Content-Type": FORM, "Origin": played.url}
    return caller.send("POST", played.url + action, urlencode(fields), headers)


def test_a_fault_is_switched_on_and_off_with_the_forms_of_the_page(caller, played):
    action, fields = Page(caller.send("GET", f"{played.url}/").body.decode()).forms[1]
    reply = send_form(caller, played, action, fields | {"fault": "401"})
    assert (reply.status, reply.headers["Location"]) == (303, "/")
    assert caller.look_up("MCS-01109073-U").status == 401
    send_form(caller, played, action, fields | {"fault": "429", "calls": "", "seconds": "0.5"})
    [on] = played.stage.board.listed()
    assert (on.calls_left, on.settings.seconds) == (None, 0.5)
    forms = Page(caller.send("GET", f"{played.url}/").body.decode()).forms
    off = next(form for form in forms if form[0] == "/control/faults/off")
    assert send_form(caller, played, *off).status == 303
    assert played.stage.board.listed() == []


def test_a_status_is_changed_with_the_form_of_the_page(caller, played):
    fields = {"number": "MCS-70000004-E", "Status": "3"}
    assert send_form(caller, played, "/control/certificates", fields).status == 303
    assert caller.look_up("MCS-70000004-E").json["Status_Description"] == "Withdrawn"


def test_a_form_that_is_not_understood_is_a_page_with_the_reason(caller, played):
    reply = send_form(caller, played, "/control/certificates", {"number": "<i>", "Status": "3"})
    assert reply.status == 400
    assert "There is no certificate &#x27;&lt;i&gt;&#x27;." in reply.body.decode()


def test_other_addresses_are_404(caller, played):
    assert caller.send("GET", f"{played.url}/other").status == 404
    assert caller.control("GET", "/other").status == 404

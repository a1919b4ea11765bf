"""Calls every route of the running service by the client that openapi-python-client generated.

That every route was called, and answered well, is what the service's own metrics say.
"""

import json
import os
import re
import sys
import urllib.request
from importlib import import_module

from orchestrator_client import AuthenticatedClient, Client, models
from orchestrator_client.types import UNSET

URL = os.environ["API_URL"]
stranger = Client(base_url=URL, raise_on_unexpected_status=True)
admin = AuthenticatedClient(base_url=URL, token=os.environ["API_KEY"], raise_on_unexpected_status=True)
sender = AuthenticatedClient(
    base_url=URL, token=os.environ["WEBHOOK_TOKEN"], raise_on_unexpected_status=True
)


def call(tag, name, client, *args, **kwargs):
    """The parsed answer of an operation; whatever is no success fails."""
    module = import_module(f"orchestrator_client.api.{tag}.{name}")
    response = module.sync_detailed(*args, client=client, **kwargs)
    assert 200 <= response.status_code < 300, (name, response)
    return response


def main():
    assert call("health", "get_health", stranger).parsed.status == "healthy"
    assert call("health", "get_readiness", stranger).parsed.status == "ready"
    call("openapi", "get_open_api", stranger)
    html = call("page", "get_page", stranger).content.decode()
    edition, file = re.search(r'"/assets/(\w+)/([\w.]+)"', html).groups()
    call("page", "get_asset", stranger, edition, file)
    assert call("persistence", "get_persistence_health", stranger).parsed.database is True

    alert = {
        "status": "firing",
        "labels": {"alertname": "DiskFull", "severity": "critical", "instance": "db-1"},
        "annotations": {"summary": "The disk of db-1 is full", "solution": "Delete old logs"},
    }
    payload = models.WebhookPayload.from_dict({"receiver": "check", "alerts": [alert]})
    received = call("webhook", "receive_alerts", sender, body=payload).parsed
    assert (received.status, received.new) == ("ok", 1), received

    listed = call("alerts", "list_alerts", admin, status="firing", label=["instance=db-1"]).parsed
    assert [alert.name for alert in listed.alerts] == ["DiskFull"], listed
    pattern = listed.alerts[0].entry_id
    assert call("entries", "get_entry", admin, pattern).parsed.firing == 1

    draft = models.EntryRequest(title="Queue is growing", severity="high", tags=["queue"])
    made = call("entries", "create_entry", admin, body=draft)
    entry = made.parsed
    assert made.headers["location"].endswith(entry.id), made.headers
    draft.solution = "Scale the consumers"
    replaced = call("entries", "replace_entry", admin, entry.id, body=draft, if_match=made.headers["etag"])
    assert replaced.parsed.solution == "Scale the consumers"
    patch = models.EntryPatch(severity="low")
    assert call("entries", "patch_entry", admin, entry.id, body=patch).parsed.severity == "low"
    note = models.NoteRequest(text="Was the backup")
    assert call("entries", "add_note", admin, entry.id, body=note).parsed.notes[0].text == note.text
    feedback = models.FeedbackRequest(helped=True)
    assert call("entries", "give_feedback", admin, entry.id, body=feedback).parsed.helped == 1
    page = call("entries", "list_entries", admin, limit=1).parsed
    following = call("entries", "list_entries", admin, limit=1, cursor=page.next_).parsed
    assert {page.entries[0].id, following.entries[0].id} == {entry.id, pattern}

    question = models.QueryRequest(query="disk full on db-1", text=UNSET)
    answer = call("knowledge", "query_knowledge", admin, body=question).parsed
    assert answer.sources[0] == pattern, answer
    summary = call("knowledge", "get_knowledge_summary", stranger).parsed
    assert summary.alerts.firing == 1, summary
    assert call("knowledge", "export_knowledge", admin).parsed.total >= 2
    history = call("persistence", "get_history", admin, days=1, alertname="DiskFull").parsed
    assert history.alerts_count == 1, history
    assert call("persistence", "export_data", admin, collection=["alerts"]).parsed.collections["alerts"] == 1
    assert "admin" in call("auth", "get_caller", admin).parsed.roles
    ping = models.JsonRpcMessage.from_dict({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    call("mcp", "send_mcp_message", admin, body=ping)
    call("entries", "delete_entry", admin, entry.id)


def never_called(document):
    """Operations of the document that the service has answered with no success."""
    with urllib.request.urlopen(os.environ["METRICS_URL"]) as answer:
        lines = answer.read().decode().splitlines()
    called = [line for line in lines if line.startswith("http_requests_total{") and 'status="2' in line]
    for path, item in document["paths"].items():
        for method in item:
            labels = (f'route="{path}"', f'method="{method.upper()}"')
            if not any(all(label in line for label in labels) for line in called):
                yield f"{method.upper()} {path}"


main()
with open(sys.argv[1]) as file:
    missed = list(never_called(json.load(file)))
assert not missed, f"no client called {missed}"

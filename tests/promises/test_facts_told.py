"""An agent tells its facts to whoever asks, if it was told to listen; else it carries nothing for that."""

import subprocess
import sys

import requests

from agent.clients.agents import ask_agents
from agent.core.facts_document import HostFacts
from tests.addresses import free_address
from tests.promises.agents import ROOT, tended, wait_until


def test_where_the_vm_stands_and_its_events_are_told_as_the_node_is_marked(plane):
    address = free_address()
    url = f"http://{address}"
    with tended(plane, facts_listen=address) as scene:

        def told(found):
            def asked():
                facts = ask_agents([url])[url]
                return facts if isinstance(facts, HostFacts) and found(facts) else None

            return wait_until(asked, "these facts", scene.agent.tail)

        facts = told(lambda each: each.complete and each.events == ())
        asked = f"{scene.imds.url}/metadata/instance?api-version=2021-02-01"
        vm = requests.get(asked, headers={"Metadata": "true"}, timeout=5).json()["compute"]
        assert (facts.vm_id, facts.name) == (vm["vmId"].lower(), vm["name"])
        assert facts.placement.location == vm["location"].lower()
        assert facts.addresses
        event_id = scene.event("Reboot")
        [marked] = told(lambda each: each.events).events
        assert (marked.id, marked.type, marked.do) == (event_id, "Reboot", "cordon")
        scene.wait_cordoned()
        plane.kubectl("uncordon", scene.node.name)
        assert told(lambda each: each.events and each.events[0].overridden)
        scene.over(event_id)
        told(lambda each: each.events == ())


def test_an_agent_that_does_not_listen_has_not_loaded_what_would():
    code = "import sys, agent.daemon.run; print(*(m for m in sys.modules if m.startswith('agent.')))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "agent.daemon.loop" in loaded
    assert not {"agent.daemon.facts_server", "agent.core.facts_document", "agent.daemon.host_loop"} & set(loaded)

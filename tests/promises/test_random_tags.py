"""Any tag that Azure takes becomes a label that a real API server takes."""

import random

from agent.clients.cluster import Access
from agent.clients.cluster import Cluster as Clients
from agent.core.instance import Tag
from agent.core.node import TAGS, read_node
from agent.core.tags import DOMAIN, TagPolicy, tag_labels
from agent.daemon.acts import node_body
from tests.controlplane.cluster import Cluster
from tests.controlplane.nodes import NodeActor

BATCHES = 30
AT_ONCE = 50  # tags a resource may have (Azure's documentation)
# What Azure takes in names and values: anything but <>%&\?/ in names; people use spaces, brackets, umlauts, emoji, CJK.
NAMES = [
    *"abzABZ059._- :;,()[]{}='\"!@#$^*+|~`",
    "\t",
    "é",
    "ß",
    "İ",
    "中",
    "🚀",
    "\u0301",
    "\u200b",
    "\x7f",
    "\x85",
    "\u2028",
    "\ufeff",
]
VALUES = [*NAMES, *"<>%&\\?/", "\n"]


def random_tag(chance: random.Random) -> Tag:
    """Return a tag of any length that Azure allows: names to 512 characters, values to 256."""
    name = "".join(chance.choices(NAMES, k=chance.choice([1, 2, 8, 54, 63, 64, 512])))
    return Tag(name, "".join(chance.choices(VALUES, k=chance.choice([0, 1, 5, 62, 63, 64, 256]))))


def test_batches_of_random_tags_are_accepted_by_the_api_server_as_they_are(plane: Cluster, node: NodeActor) -> None:
    chance = random.Random(20261122)
    agent = Clients(Access(kubeconfig=plane.agent_kubeconfig(node.name)))
    for _ in range(BATCHES):
        mapped = tag_labels(tuple(random_tag(chance) for _ in range(AT_ONCE)), TagPolicy(), DOMAIN)
        metadata = {"labels": mapped.labels, "annotations": {f"{DOMAIN}/tags": mapped.annotation}}
        view = read_node(agent.node(node.name))
        after = agent.apply(node.name, node_body(view, **metadata), manager=TAGS, force=False)
        standing = {key: value for key, value in after["metadata"]["labels"].items() if key.startswith("tag.")}
        assert standing == mapped.labels
        assert after["metadata"]["annotations"][f"{DOMAIN}/tags"] == mapped.annotation
        assert len(mapped.labels) == len([tag for tag in mapped.explained if tag.key])
    agent.close()


def test_the_api_server_does_refuse_what_is_no_label(plane: Cluster, node: NodeActor) -> None:
    """So that the test above can fail."""
    refused = plane.admin.raw(
        "PATCH",
        f"/api/v1/nodes/{node.name}",
        {"metadata": {"labels": {f"tag.{DOMAIN}/x": "a b"}}},
        content_type="application/merge-patch+json",
    )
    assert refused.status_code == 422

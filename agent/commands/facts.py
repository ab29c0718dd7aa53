"""`facts` and `explain-tag`: what IMDS says, what it would become, and why. No Kubernetes needed."""

from __future__ import annotations

import dataclasses
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from agent.clients.imds_errors import ImdsError, ImdsUnavailable
from agent.commands.output import BOLD, DIM, columns, paint, say, say_json, short
from agent.core.instance import Instance, missing
from agent.core.instance_document import instance_document
from agent.core.labelling import written
from agent.core.labels import explain_labels
from agent.core.load_balancer import completed, lacks_public
from agent.core.tags import TagLabel, explain_tag, tag_labels
from agent.daemon.partners import imds_client
from agent.told import Told

if TYPE_CHECKING:
    import argparse

    from agent.clients.imds import Imds
    from agent.core.events import EventDocument
    from agent.settings import Settings

ONCE = 1.0  # seconds: one try
DEADLINE = 6.0  # seconds a person waits before being told
BUSY = 1.1  # seconds: the service counts requests by the second, five for all processes of a VM


def scheduled(client: Imds) -> EventDocument:
    """Return the scheduled events; asked once more where others have just used up this VM's requests.

    Raises:
        ImdsUnavailable: no good answer; that is never "no events".
        ImdsRefused: there will be none until somebody changes something.
    """
    try:
        return client.events().value
    except ImdsUnavailable as error:
        if error.status != HTTPStatus.TOO_MANY_REQUESTS:
            raise
    time.sleep(BUSY)
    return client.events().value


def picked(document: Any, key: str) -> Any:
    """Return what stands at a place such as `network.0.ipv4.0.public`.

    Raises:
        Told: there is no such place; with what there is.
    """
    found, walked = document, ""
    for step in key.split("."):
        if isinstance(found, list | tuple):
            there = {str(number): each for number, each in enumerate(found)}
        else:
            there = found if isinstance(found, dict) else {}
        if step not in there:
            choices = f"expected one of {', '.join(there)}" if there else "nothing stands below it"
            raise Told(f"no fact {key!r}: at {walked or 'the top'} {choices}; found {step!r}")
        found, walked = there[step], f"{walked}.{step}".lstrip(".")
    return found


def _say_one(value: Any, output: str) -> None:
    """Print one fact for a script: a text or number as it is, nothing for nothing."""
    if output == "json" or isinstance(value, dict | list | tuple):
        say_json(value)
    else:
        say("" if value is None else str(value).lower() if isinstance(value, bool) else str(value))


def _completed(client: Imds, instance: Instance) -> Instance:
    """Return the VM with the public addresses that stand in the load balancer's document alone; a failure there costs nothing."""
    if not lacks_public(instance.network):
        return instance
    try:
        found = client.load_balancer(deadline=ONCE).value
    except ImdsError:
        return instance
    return dataclasses.replace(instance, network=completed(instance.network, found)) if found else instance


def facts(settings: Settings, arguments: argparse.Namespace) -> int:
    """Show the VM and the labels it would get."""
    with imds_client(settings) as client:
        instance = _completed(client, client.instance(deadline=DEADLINE).value)
    if arguments.key is not None:
        _say_one(picked(instance_document(instance), arguments.key), arguments.output)
        return 0
    rules = settings.rules().labels
    groups = {group: written(instance, group, rules) for group in ("facts", "tags")}
    if arguments.output == "json":
        labels = {**groups["facts"].labels, **groups["tags"].labels}
        annotations = {**groups["facts"].annotations, **groups["tags"].annotations}
        say_json(
            {
                "instance": instance_document(instance),
                "missing": missing(instance),
                "labels": labels,
                "annotations": annotations,
            }
        )
        return 0
    _show(instance, settings)
    _show_labels(instance, settings)
    return 0


def _show(instance: Instance, settings: Settings) -> None:
    placed = instance.placement
    rows = [
        ("VM", f"{instance.name or '?'}  ({instance.vm_size or '?'}, {instance.priority or 'priority not said'})"),
        ("id", instance.vm_id or "?"),
        ("region", f"{placed.location or '?'}, {'zone ' + placed.zone if placed.zone else 'no zone'}"),
        ("domains", f"fault {_number(placed.fault_domain)}, update {_number(placed.update_domain)}"),
        ("addresses", _addresses(instance) or "none"),
        ("scale set", instance.vm_scale_set_name or "none"),
        ("tags", f"{len(instance.tags)} from {instance.tags_from or 'nowhere'}"),
        ("IMDS", f"{settings.imds_url}, api-version {instance.version}"),
    ]
    columns((paint(name, BOLD), value) for name, value in rows)
    if lacking := missing(instance):
        say(f"  incomplete: {', '.join(lacking)} missing; composite labels wait for a complete answer")


def _addresses(instance: Instance) -> str:
    """Return the private addresses, each with its public one."""
    found = [address for each in instance.network for address in each.ipv4 if address.private]
    shown = [f"{address.private} ({address.public})" if address.public else str(address.private) for address in found]
    return ", ".join([*shown, *(address for each in instance.network for address in each.ipv6)])


def _number(value: int | None) -> str:
    return "?" if value is None else str(value)


def _show_labels(instance: Instance, settings: Settings) -> None:
    rules = settings.rules().labels
    reasons = explain_labels(instance, rules)
    say("\n" + paint("labels of the VM", BOLD))
    columns((why.key, why.value or "", paint(why.because, DIM)) for why in reasons if why.value is not None)
    tags = tag_labels(instance.tags, rules.tags, rules.domain).explained
    if instance.tags:
        say("\n" + paint("labels of its tags", BOLD))
    columns((tag.key, tag.label or "", paint(_source(tag), DIM)) for tag in tags if tag.key is not None)
    say("\n" + paint("not there", BOLD))
    columns((why.key, paint(why.because, DIM)) for why in reasons if why.value is None)
    columns((f"tag {tag.name}", paint(tag.because[-1], DIM)) for tag in tags if tag.key is None)


def _source(tag: TagLabel) -> str:
    """Return where a tag's label is from, and its value where that is not the label's."""
    return f"from tag {tag.name}" + (f", for {short(tag.value)!r}" if tag.label != tag.value else "")


def explain(settings: Settings, arguments: argparse.Namespace) -> int:
    """Show what one tag becomes, and why."""
    rules = settings.rules().labels
    tag = explain_tag(arguments.tag, arguments.value, rules.tags, rules.domain)
    if arguments.output == "json":
        say_json(dataclasses.asdict(tag))
        return 0
    say(f"{tag.key}={tag.label}" if tag.allowed and tag.label is not None else f"no label for tag {tag.name}")
    for because in tag.because:
        say(f"  {because}")
    return 0

"""Write the parts that imds-agent is made from as CycloneDX JSON, from requirements.lock; the same bytes from the same lock.

Standard library only, since the image's build runs it, too. The lock is for every Python and platform, so that a part may
stand twice; its marker then says where each version counts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENT = re.compile(r"^([a-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\\n]+?))? *\\?\n((?: .*\n)*)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
NAMESPACE = uuid.UUID(
    "5ae1a7f2-4f5e-5c59-9c0e-0e5b6a2d3b11"
)  # any fixed one: the serial number follows from the content


def version() -> str:
    """Return our version, as agent/__init__.py has it.

    Raises:
        SystemExit: it has none.
    """
    found = re.search(
        r'^__version__ = "([^"]+)"$', (ROOT / "agent" / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE
    )
    return found[1] if found else sys.exit("sbom: agent/__init__.py: expected __version__, found none")


def component(name: str, release: str, marker: str | None, rest: str) -> dict[str, Any]:
    """Return one part; its hashes are those of all its files, one of which an installation takes."""
    url = f"pkg:pypi/{name}@{release}"
    files = [
        {
            "type": "distribution",
            "url": f"https://pypi.org/project/{name}/{release}/",
            "hashes": [{"alg": "SHA-256", "content": each}],
        }
        for each in HASH.findall(rest)
    ]
    found: dict[str, Any] = {"type": "library", "bom-ref": url, "name": name, "version": release, "purl": url}
    if marker:
        found["properties"] = [{"name": "imds-agent:marker", "value": marker}]
    return {**found, "externalReferences": files}


def parts(lock: str) -> list[dict[str, Any]]:
    """Return all parts that a lock file names, in its order."""
    return [component(*match.groups()) for match in REQUIREMENT.finditer(lock)]


def users(lock: str) -> dict[str, set[str]]:
    """Return who wants a part, by its name, from the `via` lines of the lock."""
    return {
        name: set(re.findall(r"^ +#(?: via)? +([a-z0-9._-]+)", rest.replace("# via\n", "#\n"), re.MULTILINE))
        for name, _, _, rest in (match.groups() for match in REQUIREMENT.finditer(lock))
    }


def dependencies(found: list[dict[str, Any]], wanted_by: dict[str, set[str]], own: str) -> list[dict[str, Any]]:
    """Return what each part depends on; the agent itself is the first."""
    by_user: dict[str, list[str]] = {}
    for each in found:
        for user in wanted_by[each["name"]]:
            by_user.setdefault(user, []).append(each["bom-ref"])
    rows = [("imds-agent", own), *((each["name"], each["bom-ref"]) for each in found)]
    return [{"ref": ref, "dependsOn": sorted(by_user.get(name, []))} for name, ref in rows]


def document() -> dict[str, Any]:
    """Return the whole bill of materials."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    own = f"pkg:pypi/imds-agent@{version()}"
    found = parts(lock)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(NAMESPACE, hashlib.sha256((own + lock).encode()).hexdigest()).urn,
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "imds-agent",
                "version": version(),
                "purl": own,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": found,
        "dependencies": dependencies(found, users(lock), own),
    }


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("target", nargs="?", type=Path, default=ROOT / "dist" / "imds-agent.cdx.json")
    target = parser.parse_args().target
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

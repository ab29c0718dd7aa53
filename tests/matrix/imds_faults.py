"""The faults of IMDS, as the emulator knows them, and documents whose number says nothing."""

from typing import Any

# By name: what meets every request.
IMDS_FAULTS: dict[str, dict[str, Any]] = {
    "400": {"kind": "status", "status": 400},
    "404": {"kind": "status", "status": 404},
    "405": {"kind": "status", "status": 405},
    "410 for a minute": {"kind": "status", "status": 410},
    "429": {"kind": "status", "status": 429},
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "status", "status": 503},
    "hang": {"kind": "hang"},
    "reset": {"kind": "reset"},
    "truncated": {"kind": "truncate"},
    "HTML with 200": {"kind": "html"},
    "empty 200": {"kind": "empty"},
    "partial document": {"kind": "partial"},
}
PARTIAL = "partial document"  # says nothing wrong about events: these are believed
# By name: whether the number of the document begins anew, or stays what it was, with each change.
INCARNATIONS = {"incarnation repeated": False, "incarnation restarted": True}

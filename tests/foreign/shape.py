"""The public shape of IMDS as OpenAPI: paths, parameters and errors of Azure's documentation and REST specification."""

from typing import Any

Document = dict[str, Any]

HEADER = {"name": "Metadata", "in": "header", "required": True, "schema": {"type": "string", "enum": ["true", "True"]}}
ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
HINT = {"newest-versions": {"type": "array", "minItems": 3, "maxItems": 3, "items": {"type": "string"}}}
IDENTITY_ERROR = {
    "type": "object",
    "required": ["error", "error_description"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}
INSTANCE_VERSIONS = [
    "2017-04-02",
    "2018-10-01",
    "2019-06-04",
    "2020-09-01",
    "2021-02-01",
    "2021-08-01",
    "2023-07-01",
    "2025-04-07",
]
LEAVES = [
    "compute/vmId",
    "compute/name",
    "compute/zone",
    "compute/platformFaultDomain",
    "network/interface/0/macAddress",
]
NODES = ["compute", "network", "compute/tagsList", "network/interface", "network/interface/0", "compute/plan"]
STRING, OBJECT = {"type": "string"}, {"type": "object"}


def version(*values: str) -> Document:
    return {"name": "api-version", "in": "query", "required": True, "schema": {"type": "string", "enum": list(values)}}


def query(name: str, schema: Document, *, required: bool = False) -> Document:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def answers(
    good: Document, *, error: Document = ERROR, text: bool = False, codes: tuple[int, ...] = (400, 404, 405)
) -> Document:
    content = {"application/json": {"schema": good}}
    if text:
        content["text/plain"] = {"schema": STRING}
    bad = {"description": "refused", "content": {"application/json": {"schema": error}}}
    return {"200": {"description": "good", "content": content}, **{str(code): bad for code in codes}}


def get(responses: Document, *parameters: Document) -> Document:
    return {"get": {"parameters": [HEADER, *parameters], "responses": responses}}


def walks() -> Document:
    """Return a path for each place that a client may walk to; by a parameter the slash would be encoded."""
    text = query("format", {"type": "string", "enum": ["text"]}, required=True)
    form = query("format", {"type": "string", "enum": ["json", "text"]})
    leaves = {
        f"/metadata/instance/{leaf}": get(answers(STRING, text=True), version(*INSTANCE_VERSIONS), text)
        for leaf in LEAVES
    }
    nodes = {
        f"/metadata/instance/{node}": get(answers({}, text=True), version(*INSTANCE_VERSIONS), form) for node in NODES
    }
    return {**leaves, **nodes}


def document() -> Document:
    hinted = {**ERROR, "properties": {**ERROR["properties"], **HINT}}
    instance = {
        "type": "object",
        "required": ["compute", "network"],
        "properties": {"compute": OBJECT, "network": OBJECT},
    }
    form = query("format", {"type": "string", "enum": ["json"]})
    events = {
        "type": "object",
        "required": ["DocumentIncarnation", "Events"],
        "properties": {"DocumentIncarnation": {"type": "integer"}, "Events": {"type": "array"}},
    }
    start = {
        "type": "object",
        "required": ["StartRequests"],
        "properties": {
            "StartRequests": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["EventId"],
                    "properties": {"EventId": {"type": "string", "minLength": 1}},
                },
            }
        },
    }
    approve = {
        "parameters": [HEADER, version("2020-07-01")],
        "requestBody": {"required": True, "content": {"application/json": {"schema": start}}},
        "responses": {
            "200": {"description": "approved"},
            "400": {
                "description": "no such event, or no such body",
                "content": {"application/json": {"schema": ERROR}},
            },
        },
    }
    signed = {
        "type": "object",
        "required": ["encoding", "signature"],
        "properties": {"encoding": {"type": "string", "enum": ["pkcs7"]}, "signature": STRING},
    }
    token = {
        "type": "object",
        "required": ["access_token", "expires_on", "resource", "token_type"],
        "additionalProperties": STRING,
    }
    return {
        "openapi": "3.0.3",
        "info": {"title": "Azure Instance Metadata Service", "version": "2025-04-07"},
        "paths": {
            "/metadata/instance": get(answers(instance, error=hinted), version(*INSTANCE_VERSIONS), form),
            **walks(),
            "/metadata/versions": get(answers({"type": "object", "required": ["apiVersions"]})),
            "/metadata/scheduledevents": {**get(answers(events), version("2020-07-01")), "post": approve},
            "/metadata/attested/document": get(
                answers(signed, error=hinted),
                version("2018-10-01", "2021-02-01"),
                query("nonce", {"type": "string", "pattern": "^[0-9A-Za-z]{1,32}$"}),
            ),
            "/metadata/loadbalancer": get(
                answers({"type": "object", "required": ["loadbalancer"]}), version("2020-10-01")
            ),
            "/metadata/identity/oauth2/token": get(
                answers(token, error=IDENTITY_ERROR),
                version("2018-02-01"),
                query(
                    "resource", {"type": "string", "enum": ["https://management.azure.com/", "nothing"]}, required=True
                ),
                query("client_id", STRING),
            ),
            "/metadata/identity/info": get(
                answers({"type": "object", "required": ["tenantId"]}, error=IDENTITY_ERROR), version("2018-02-01")
            ),
        },
    }

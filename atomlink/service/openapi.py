"""The description of the service's calls, made from the table of its routes.  Source: OpenAPI 3.1."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import atomlink
from atomlink.service.problems import MEDIA_TYPE

if TYPE_CHECKING:
    from atomlink.service.api import Route

_PROBLEM = {
    "type": "object", "required": ["type", "title", "status", "detail", "remedy"],
    "properties": {"type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
                   "detail": {"type": "string"}, "remedy": {"type": "string"}},
}  # fmt: skip


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the description."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "atomlink", "version": atomlink.__version__,
                 "summary": "Jobs on a network of neutral-atom processors"},
        "paths": paths,
        "components": {
            "schemas": {"Problem": _PROBLEM},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                                "munge": {"type": "apiKey", "in": "header", "name": "X-Munge-Cred"}},
        },
    }  # fmt: skip


def _operation(route: Route) -> dict[str, Any]:
    problem = {"description": "A problem, with its remedy",
               "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}  # fmt: skip
    described = (route.handler.__doc__ or "").strip()
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', route.path.lower()).strip('_')}",
        "summary": route.summary, "description": described,
        "responses": {"2XX": {"description": described, "content": {route.answer: {}}}, "default": problem},
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
              for name in re.findall(r"{(\w+)}", route.path)),
            *({"name": name, "in": "query", "schema": {"type": "string"}} for name in route.query),
        ],
    }  # fmt: skip
    if route.scope is not None:
        operation["security"] = [{"bearer": [route.scope]}, {"munge": []}]
    if route.body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": route.body}}}
    return operation

"""The description of the interface as a page to read, made of the same openapi.json, without any script."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

STYLE = """\
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; font-size: 1.1rem; }
h2 code { font-size: 1rem; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; }
pre { overflow-x: auto; padding: .8rem; background: #8881; border-radius: .4rem; }
"""


def page(interface: dict[str, Any]) -> str:
    """HTML for an OpenAPI document."""
    info = interface["info"]
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>',
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="docs.css">'
        '<link rel="icon" href="page/icon.svg"></head><body>',
        f"<h1>{escape(info['title'])}</h1><p>{escape(info.get('description', ''))}</p>",
        '<p><a href="./">The page to draw on</a> · <a href="openapi.json">openapi.json</a></p>',
    ]
    for path, methods in interface["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(path, method, operation))
    return "\n".join([*parts, "</body></html>\n"])


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    title = f'<span class="method">{method.upper()}</span> <code>{escape(path)}</code>'
    parts = [f"<h2>{title}</h2><p>{escape(operation.get('description') or operation.get('summary', ''))}</p>"]
    rows = [
        (each["name"], each["in"], each.get("description", ""), json.dumps(each["schema"].get("default")))
        for each in operation.get("parameters", [])
    ]
    if rows:
        parts.append(_table(("parameter", "in", "says", "default"), rows))
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Body <code>{escape(kind)}</code></p>{_schema(content)}")
    answers = operation["responses"]
    parts.append(_table(("status", "means"), [(status, said["description"]) for status, said in answers.items()]))
    for content in answers.get("200", answers.get("201", {})).get("content", {}).values():
        parts.append(_schema(content))
    return "\n".join(parts)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    def line(tag: str, cells: tuple[str, ...]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + line("th", head) + "".join(line("td", row) for row in rows) + "</table>"


def _schema(content: dict[str, Any]) -> str:
    schema = content.get("schema")
    return f"<pre>{escape(_outline(schema))}</pre>" if schema else ""


def _outline(schema: dict[str, Any], indent: str = "") -> str:
    """What JSON of this schema looks like, with a word for each value."""
    kinds = schema.get("type", "anything")
    kind = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if schema.get("format") == "binary":
        return str(schema.get("description", "the file"))
    if kind == "object" and "properties" in schema:
        deeper = indent + "  "
        lines = [f'{deeper}"{name}": {_outline(each, deeper)}' for name, each in schema["properties"].items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if "items" in schema:
        number = f"{schema['minItems']} × " if schema.get("minItems", 0) > 1 else ""
        return f"[{number}{_outline(schema['items'], indent)}{'' if number else ', …'}]" + _about(schema)
    if schema.get("contentMediaType"):
        return "a file"
    if "maximum" in schema:
        kind += f" {schema['minimum']}…{int(schema['maximum'])}"
    return ("base64" if schema.get("contentEncoding") else kind) + _about(schema)


def _about(schema: dict[str, Any]) -> str:
    return f" ({schema['description']})" if schema.get("description") else ""

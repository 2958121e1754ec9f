"""What the requests and answers of the HTTP interface look like, for openapi.json."""

from __future__ import annotations

from typing import Any

from .problems import TITLES

Schema = dict[str, Any]

PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "one sentence to show to people"},
    },
}
MODEL: Schema = {
    "type": "object",
    "required": ["name", "version"],
    "properties": {"name": {"type": "string"}, "version": {"type": ["string", "null"]}},
}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1.000001}
LABEL: Schema = {"type": "integer", "minimum": 0, "maximum": 9}
LABEL_OR_NULL: Schema = {"type": ["integer", "null"], "minimum": 0, "maximum": 9}
BASE64: Schema = {"type": "string", "contentEncoding": "base64"}
DIGIT: Schema = {
    "type": "object",
    "required": ["digit", "confidence", "novelty", "box", "probabilities"],
    "properties": {
        "digit": LABEL_OR_NULL,
        "confidence": SHARE,
        "novelty": SHARE,
        "box": {
            "type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4,
            "description": "x, y, width, height in pixels of the upright picture",
        },
        "probabilities": {"type": "array", "items": SHARE, "minItems": 10, "maxItems": 10},
        "glyph": BASE64 | {"description": "the 28×28 that the model saw, as PNG; with glyphs=true"},
    },
}  # fmt: skip
READING: Schema = {
    "type": "object",
    "required": ["file", "text", "refused", "reason", "digits"],
    "properties": {
        "file": {"type": "string"},
        "text": {"type": "string"},
        "refused": {"type": "boolean"},
        "reason": {"type": ["string", "null"]},
        "page": {"type": "integer"},
        "note": {"type": "string"},
        "digits": {"type": "array", "items": DIGIT},
    },
}
READINGS: Schema = {
    "type": "object",
    "required": ["model", "readings"],
    "properties": {"model": MODEL, "readings": {"type": "array", "items": READING}},
}
LABELS: Schema = {
    "type": "object",
    "required": ["model", "labels", "confidences", "novelties", "refused"],
    "properties": {
        "model": MODEL,
        "labels": {"type": "array", "items": LABEL},
        "confidences": {"type": "array", "items": SHARE},
        "novelties": {"type": ["array", "null"], "items": SHARE},
        "refused": {"type": ["array", "null"], "items": {"type": "boolean"}},
    },
}
ABOUT: Schema = {
    "type": "object",
    "required": ["model", "corrections", "limits", "token"],
    "properties": {
        "model": MODEL,
        "corrections": {"type": "boolean"},
        "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
        "token": {"type": "boolean"},
    },
}
CORRECTION: Schema = {
    "type": "object",
    "required": ["id", "created", "label", "answer", "glyph"],
    "properties": {
        "id": {"type": "integer"},
        "created": {"type": ["string", "null"]},
        "label": LABEL,
        "answer": LABEL_OR_NULL,
        "glyph": BASE64,
    },
}
CORRECTIONS: Schema = {
    "type": "object",
    "required": ["corrections", "count"],
    "properties": {"corrections": {"type": "array", "items": CORRECTION}, "count": {"type": "integer"}},
}
ID: Schema = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
HEALTH: Schema = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}

PIXELS: Schema = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0, "maximum": 255},
    "minItems": 784,
    "maxItems": 784,
}
READ_OPTIONS = {
    "one": "each picture holds exactly one digit",
    "best_guess": "never refuse, unless a picture is blank",
    "glyphs": "also give the 28×28 that the model saw of each digit",
}
READ_PARAMETERS: list[Schema] = [
    {"name": name, "in": "query", "description": about, "schema": {"type": "boolean", "default": False}}
    for name, about in READ_OPTIONS.items()
]
READ_BODY: Schema = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"type": "string", "contentMediaType": "application/octet-stream"},
                    }
                },
            }
        },
        "image/png": {"schema": {"type": "string", "format": "binary"}},
        "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}
DIGITS_BODY: Schema = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["images"],
                "properties": {"images": {"type": "array", "items": PIXELS, "minItems": 1}},
            },
            "example": {"images": [["784 integers 0…255, row by row, 0 = paper, 255 = ink"]]},
        },
        "application/octet-stream": {
            "schema": {"type": "string", "format": "binary", "description": "a .npy file (N, 28, 28) of whole numbers"}
        },
    },
}
CORRECTION_BODY: Schema = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["glyph", "label"],
                "properties": {
                    "glyph": BASE64 | {"description": "PNG of 28×28, as /v1/read gave it"},
                    "label": LABEL | {"description": "what is right"},
                    "answer": LABEL_OR_NULL | {"description": "what the model said"},
                    "picture": {
                        "type": ["string", "null"], "contentEncoding": "base64",
                        "description": "the picture it was cut from",
                    },
                },
            }
        }
    },
}  # fmt: skip

MEANINGS = {
    400: "the body is damaged, or none",
    401: "the token is missing or wrong",
    403: "a page from elsewhere, which may not call this server",
    404: "no such thing, or corrections are not kept",
    408: "the body took too long to arrive",
    413: "more bytes, pictures or digits than are allowed",
    415: "not a type or a kind of file that can be read",
    421: "not a name of this server",
    422: "understood, but it cannot be read",
    429: "too many requests from one address; Retry-After says when to come again",
    503: "too much to do; Retry-After says when to come again",
    507: "the file of corrections is full",
}


def answers(schema: Schema | None, *problems: int, status: int = 200, said: str = "done") -> dict[int | str, Schema]:
    """What an address answers: a result by its schema, and problems."""
    result: Schema = {"description": said}
    if schema is not None:
        result["content"] = {"application/json": {"schema": schema}}
    content = {"application/problem+json": {"schema": PROBLEM}}
    refusals: dict[int | str, Schema] = {
        number: {"description": f"{TITLES[number]}: {MEANINGS[number]}", "content": content}
        for number in sorted(problems)
    }
    return {status: result, **refusals}

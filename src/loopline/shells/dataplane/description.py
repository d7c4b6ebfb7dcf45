"""An endpoint described for programs, as OpenAPI 3.1: what it takes and answers at each door, and how it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from loopline.core.tables import Column, Signature
from loopline.shells.dataplane.bodies import ARROW, CSV
from loopline.shells.dataplane.limits import Limits
from loopline.shells.dataplane.tensors import TAKEN, datatype_of
from loopline.usecases.serving.options import Options, Range

JSON = "application/json"
SCHEMAS: dict[str, dict[str, Any]] = {
    "float": {"type": "number"}, "integer": {"type": "integer", "format": "int64"}, "boolean": {"type": "boolean"},
    "string": {"type": "string"}, "timestamp": {"type": "string", "format": "date-time"},
}  # fmt: skip
EXAMPLES: dict[str, Any] = {
    "float": 1.5, "integer": 1, "boolean": True, "string": "text", "timestamp": "2013-04-01T12:00:00Z",
}  # fmt: skip
REFUSALS = {
    400: "The body is not as described; the sentence names row, field and limit.",
    401: "The token is missing or unknown.",
    403: "The token's role does not suffice.",
    404: "There is no such endpoint, or the token may not ask it.",
    413: "The body is too large.",
    415: "The content type or encoding is not taken.",
    422: "The model cannot score one of the rows.",
    429: "Too much at once; Retry-After says when to come back.",
    503: "The model is not up yet; Retry-After says when to come back.",
}
PREDICTION_ID = {
    "description": "The prediction's id; row i of several is this id + `-i`.",
    "schema": {"type": "string"},
}


def described(
    endpoint: str, signature: Signature, version: int, key: str | None, event_time: str | None, options: Options,
    limits: Limits,
) -> dict[str, Any]:  # fmt: skip
    """The whole document."""
    row = row_schema(signature.inputs, key, event_time, options)
    example = example_of(signature.inputs, options.ranges)
    schemas = {
        "Row": {**row, "examples": [example]},
        "PredictRequest": _object(
            {"rows": {"type": "array", "items": _ref("Row"), "minItems": 1, "maxItems": limits.rows}}
        ),
        "PredictResponse": _predictions(signature.output),
        **_tensor_schemas(signature),
        **_scoring_schemas(signature, limits),
        **_truth_schemas(),
        "Error": _object({"error": {"type": "string"}, "hint": {"type": "string"}}),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Endpoint {endpoint}",
            "version": str(version),
            "description": f"Predictions of version {version}, served by Loopline {import_module('loopline').__version__}.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": _paths(endpoint, example, signature, limits),
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def row_schema(columns: Sequence[Column], key: str | None, event_time: str | None, options: Options) -> dict[str, Any]:
    """One row: the inputs with their ranges, then key and event time where they are no inputs."""
    properties = {column.name: value_schema(column, options.ranges.get(column.name)) for column in columns}
    required = list(properties)
    if key is not None and key not in properties:
        properties[key] = {
            "type": ["string", "integer", "null"],
            "description": "Whom or what the row is about; logged, not given to the model.",
        }
    if event_time is not None and event_time not in properties:
        properties[event_time] = {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "When it happened; logged, not given to the model.",
        }
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": options.unknown == "ignore",
    }


def value_schema(column: Column, declared: Range | None = None) -> dict[str, Any]:
    """One value. A range is part of the schema where what lies outside is refused, else of the description."""
    found = dict(SCHEMAS[column.type])
    if column.nullable:
        found["type"] = [found["type"], "null"]
    limits: dict[str, Any] = {}
    if declared is not None and column.type in ("float", "integer"):
        limits = {"minimum": declared.minimum, "maximum": declared.maximum}
    elif declared is not None and column.type == "string" and declared.categories is not None:
        limits = {"enum": [*declared.categories, *([None] if column.nullable else [])]}
    limits = {name: value for name, value in limits.items() if value is not None}
    if declared is not None and limits:
        if declared.otherwise == "reject" and _distinct(limits.get("enum", ())):
            return {**found, **limits}
        told = ", ".join(f"{name} {value}" for name, value in limits.items())
        found["description"] = f"Expected: {told}; otherwise: {declared.otherwise}."
    return found


def example_of(columns: Sequence[Column], ranges: Mapping[str, Range]) -> dict[str, Any]:
    """A row that is taken."""
    return {column.name: _example(column, ranges.get(column.name)) for column in columns}


def _example(column: Column, declared: Range | None) -> Any:
    value = EXAMPLES[column.type]
    if declared is None:
        return value
    if column.type == "string" and declared.categories:
        return declared.categories[0]
    if column.type in ("float", "integer"):
        low, high = declared.minimum, declared.maximum
        value = value if low is None else max(value, low)
        value = value if high is None else min(value, high)
        return int(value) if column.type == "integer" else value
    return value


def _distinct(values: Sequence[Any]) -> bool:
    """Whether generators of clients can make different names of them."""
    names = [re.sub(r"\W", "_", str(value)).upper() for value in values]
    return len(set(names)) == len(names)


def _paths(endpoint: str, example: dict[str, Any], signature: Signature, limits: Limits) -> dict[str, Any]:
    model = f"/v2/models/{endpoint}"
    tensors = {"inputs": [_tensor_example(column, example[column.name]) for column in signature.inputs]}
    arrow = ARROW.decode()
    stream = {"schema": {"type": "string", "contentMediaType": arrow}}
    header = {"headers": {"x-loopline-prediction-id": PREDICTION_ID}}
    return {
        f"/v1/endpoints/{endpoint}/predict": {
            "post": _operation(
                "predict",
                "Predict rows",
                "PredictRequest",
                "PredictResponse",
                {"rows": [example]},
                more={arrow: stream},
                answers={arrow: stream},
                about=f"Rows as JSON, up to {limits.rows}; or columns as an Arrow stream, up to {limits.columnar_rows}. "
                "A body may be packed with gzip or zstd.",
            )
        },
        f"/v1/endpoints/{endpoint}/truth": {
            "post": _operation(
                "send_truth",
                "Send ground truth",
                "TruthRequest",
                "TruthResponse",
                {"rows": [{"prediction_id": "06h014spu3qp08tven818", "value": 1}]},
                about="By prediction id, or by key and event time.",
            )
        },
        f"/endpoints/{endpoint}/invocations": {
            "post": _operation(
                "score",
                "Predict in MLflow's forms",
                "ScoringRequest",
                "ScoringResponse",
                {"dataframe_records": [example]},
                more={CSV.decode(): {"schema": {"type": "string"}}},
                response=header,
            )
        },
        f"{model}/infer": {
            "post": _operation(
                "infer",
                "Predict tensors (Open Inference Protocol 2)",
                "InferRequest",
                "InferResponse",
                tensors,
                about="Also takes and gives the binary tensor data extension.",
            )
        },
        model: {"get": _operation("metadata", "Describe inputs and outputs", None, "ModelMetadata")},
        f"{model}/ready": {"get": _operation("ready", "Say whether it answers", None, "ModelReady")},
    }


def _operation(
    name: str, summary: str, request: str | None, response_schema: str, example: Any = None, *,
    more: Mapping[str, Any] | None = None, answers: Mapping[str, Any] | None = None, about: str = "",
    response: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    refusals = {
        str(status): {"description": told, "content": {JSON: {"schema": _ref("Error")}}}
        for status, told in REFUSALS.items()
    }
    answered = {
        "description": "Answered.",
        "content": {JSON: {"schema": _ref(response_schema)}, **(answers or {})},
        **(response or {}),
    }
    found: dict[str, Any] = {"operationId": name, "summary": summary, "responses": {"200": answered, **refusals}}
    if about:
        found["description"] = about
    if request is not None:
        content = {JSON: {"schema": _ref(request), "examples": {"one": {"value": example}}}, **(more or {})}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _predictions(output: Column) -> dict[str, Any]:
    return _object({
        "predictions": {"type": "array", "items": _output(output)},
        "ids": {"type": "array", "items": {"type": "string"}, "description": "One for each row; ground truth refers to it."},
        "version": {"type": "integer"},
        "revision": {"type": "integer"},
    })  # fmt: skip


def _tensor_schemas(signature: Signature) -> dict[str, Any]:
    values = {"type": "array", "items": {}}
    kinds = sorted({kind for column in signature.inputs for kind in TAKEN[column.type]})
    tensor = {"name": {"type": "string"}, "shape": {"type": "array", "items": {"type": "integer"}}}
    told = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
    described_tensor = {"type": "array", "items": _ref("TensorMetadata")}
    text = {"type": "string"}
    return {
        "InputTensor": _object({**tensor, "datatype": {"type": "string", "enum": kinds}, "data": values, "parameters": told}, optional=("data", "parameters")),
        "OutputTensor": _object({**tensor, "datatype": text, "data": values, "parameters": told}, optional=("data", "parameters")),
        "WishedOutput": _object({"name": {"type": "string", "const": signature.output.name}, "parameters": told}, optional=("parameters",)),
        "InferRequest": _object(
            {"id": text, "inputs": {"type": "array", "items": _ref("InputTensor")}, "parameters": told,
             "outputs": {"type": "array", "items": _ref("WishedOutput")}},
            optional=("id", "parameters", "outputs")),
        "InferResponse": _object(
            {"model_name": text, "model_version": text, "id": text, "parameters": told,
             "outputs": {"type": "array", "items": _ref("OutputTensor")}}, optional=("id",)),
        "TensorMetadata": _object({**tensor, "datatype": text}),
        "ModelMetadata": _object({"name": text, "versions": {"type": "array", "items": text}, "platform": text,
                                  "inputs": described_tensor, "outputs": described_tensor}),
        "ModelReady": _object({"name": text, "ready": {"type": "boolean"}}),
    }  # fmt: skip


def _scoring_schemas(signature: Signature, limits: Limits) -> dict[str, Any]:
    names = {"type": "array", "items": {"type": "string"}}
    split = _object(
        {"columns": names, "data": {"type": "array", "items": {"type": "array", "items": {}}, "maxItems": limits.rows}},
        optional=("columns",),
    )
    records = {"type": "array", "items": _ref("Row"), "maxItems": limits.rows}
    anything = {"description": "Rows, lists of values, or columns by name."}
    forms = {
        "dataframe_split": _ref("SplitFrame"),
        "dataframe_records": records,
        "instances": anything,
        "inputs": anything,
    }
    request = {**_object(forms, optional=tuple(forms)), "description": "Exactly one of the four.", "minProperties": 1}
    response = _object({"predictions": {"type": "array", "items": _output(signature.output)}})
    return {"SplitFrame": split, "ScoringRequest": request, "ScoringResponse": response}


def _truth_schemas() -> dict[str, Any]:
    moment = {"type": "string", "format": "date-time"}
    row = {
        "value": {"type": ["number", "boolean", "string"], "description": "A text for classes; true is 1 and false 0."},
        "prediction_id": {"type": "string"},
        "key": {"type": ["string", "integer"]},
        "event_time": moment,
        "observed_at": moment,
    }
    return {
        "TruthRow": _object(row, optional=("prediction_id", "key", "event_time", "observed_at")),
        "TruthRequest": _object({"rows": {"type": "array", "items": _ref("TruthRow"), "minItems": 1}}),
        "TruthResponse": _object({"accepted": {"type": "integer"}, "first_seq": {"type": "integer"}}),
    }


def _output(column: Column) -> dict[str, Any]:
    return {"type": ["string", "null"]} if column.type in ("string", "timestamp") else {"type": "number"}


def _tensor_example(column: Column, value: Any) -> dict[str, Any]:
    return {"name": column.name, "shape": [1], "datatype": datatype_of(column), "data": [value]}


def _object(properties: Mapping[str, Any], optional: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}

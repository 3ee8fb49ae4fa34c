"""Schemas out of OpenAPI documents: whole in themselves, and plain JSON Schema."""

from typing import Any

import pytest

from rxfal.wire.openapi import schemas_in

JSON = "application/json"


def document(input: Any, output: Any = None, schemas: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A document in fal's form."""
    one = "/owner/app/requests/{request_id}"
    paths: dict[str, Any] = {
        f"{one}/status": {"get": {"responses": {"200": {"content": {JSON: {"schema": {"title": "Status"}}}}}}},
        f"{one}/cancel": {"put": {}},
        "/owner/app": {
            "post": {
                "requestBody": {"content": {JSON: {"schema": input}}},
                "responses": {"200": {"content": {JSON: {"schema": {"title": "QueueStatus"}}}}},
            }
        },
    }
    if output is not None:
        paths[one] = {"get": {"responses": {"200": {"content": {JSON: {"schema": output}}}}}}
    return {"openapi": "3.0.4", "components": {"schemas": schemas or {}}, "paths": paths, **more}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def input_of(schema: Any, **schemas: Any) -> Any:
    found = schemas_in(document(schema, schemas=schemas), "owner/app")
    assert found is not None
    return found.input


def test_input_and_result_are_found_and_the_status_of_the_queue_is_neither():
    schemas = {"In": {"type": "object", "title": "In"}, "Out": {"type": "object", "title": "Out"}}
    found = schemas_in(document(ref("In"), ref("Out"), schemas), "owner/app")
    assert found is not None
    assert found.input == {"type": "object", "title": "In"}
    assert found.output == {"type": "object", "title": "Out"}


def test_what_a_schema_refers_to_is_in_its_own_defs_and_nothing_else():
    schemas = {
        "In": {"type": "object", "properties": {"image": ref("Image")}},
        "Image": {"type": "object", "properties": {"size": ref("Size")}},
        "Size": {"type": "integer"},
        "Other": {"type": "string"},
    }
    assert input_of(ref("In"), **schemas) == {
        "type": "object",
        "properties": {"image": {"$ref": "#/$defs/Image"}},
        "$defs": {
            "Image": {"type": "object", "properties": {"size": {"$ref": "#/$defs/Size"}}},
            "Size": {"type": "integer"},
        },
    }


def test_a_schema_that_contains_itself_is_in_its_defs_too():
    tree = {"type": "object", "properties": {"children": {"type": "array", "items": ref("Tree")}}}
    local = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}}
    assert input_of(ref("Tree"), Tree=tree) == {**local, "$defs": {"Tree": local}}


def test_references_are_followed_through_others_and_a_circle_ends():
    assert input_of(ref("A"), A=ref("B"), B={"type": "string"}) == {"type": "string"}
    assert input_of(ref("A"), A=ref("B"), B=ref("A")) == {}


def test_a_reference_that_leads_out_of_the_document_stays():
    assert input_of({"$ref": "https://example.com/x.json"}) == {"$ref": "https://example.com/x.json"}


def test_a_name_with_a_slash_or_a_space_is_found():
    assert input_of(
        {"anyOf": [ref("a~1b"), ref("c%20d")]}, **{"a/b": {"type": "string"}, "c d": {"type": "integer"}}
    ) == {
        "anyOf": [{"$ref": "#/$defs/a~1b"}, {"$ref": "#/$defs/c%20d"}],
        "$defs": {"a/b": {"type": "string"}, "c d": {"type": "integer"}},
    }


def test_the_mapping_of_a_discriminator_leads_to_the_defs():
    union = {
        "oneOf": [ref("Cat")],
        "discriminator": {"propertyName": "kind", "mapping": {"dog": "#/components/schemas/Dog"}},
    }
    found = input_of(union, Cat={"type": "object"}, Dog={"type": "object"})
    assert found["discriminator"]["mapping"] == {"dog": "#/$defs/Dog"}
    assert set(found["$defs"]) == {"Cat", "Dog"}


def test_data_in_a_schema_is_left_alone_and_properties_may_be_named_like_keywords():
    data = {"$ref": "#/components/schemas/Image", "nullable": True}
    schema = {
        "default": data,
        "enum": [data],
        "properties": {"default": ref("Image"), "enum": {"type": "string", "nullable": True}, "$ref": {"type": "null"}},
    }
    found = input_of(schema, Image={"type": "string"})
    assert found["default"] == data
    assert found["enum"] == [data]
    assert found["properties"] == {
        "default": {"$ref": "#/$defs/Image"},
        "enum": {"type": ["string", "null"]},
        "$ref": {"type": "null"},
    }
    assert found["$defs"] == {"Image": {"type": "string"}}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "integer", "nullable": True}, {"type": ["integer", "null"]}),
        ({"type": "integer", "nullable": False}, {"type": "integer"}),
        ({"type": "string", "nullable": True, "enum": ["a"]}, {"type": ["string", "null"], "enum": ["a", None]}),
        (
            {"title": "T", "nullable": True, "anyOf": [{"type": "string"}]},
            {"title": "T", "anyOf": [{"anyOf": [{"type": "string"}]}, {"type": "null"}]},
        ),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": True}, {"type": "number", "exclusiveMinimum": 0}),
        ({"type": "number", "maximum": 1, "exclusiveMaximum": False}, {"type": "number", "maximum": 1}),
        ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "exclusiveMinimum": 0}),
        ({"type": "number", "exclusiveMinimum": True}, {"type": "number"}),
        ({"type": "string", "nullable": True, "enum": [None]}, {"type": ["string", "null"], "enum": [None]}),
    ],
)
def test_keywords_of_openapi_3_0_become_json_schema(old: Any, new: Any):
    assert input_of({"properties": {"it": old}})["properties"]["it"] == new


def test_a_body_may_be_a_reference_and_an_answer_something_else_than_json():
    whole = document({}, {})
    whole["components"]["requestBodies"] = {"Body": {"content": {JSON: {"schema": {"title": "In"}}}}}
    whole["paths"]["/owner/app"]["post"]["requestBody"] = {"$ref": "#/components/requestBodies/Body"}
    result = whole["paths"]["/owner/app/requests/{request_id}"]["get"]["responses"]["200"]
    result["content"] = {"audio/wav": {"schema": {"format": "binary"}}}
    found = schemas_in(whole, "owner/app")
    assert found == ({"title": "In"}, {"format": "binary"})


def test_of_several_media_types_json_is_taken():
    whole = document({"title": "In"})
    content = whole["paths"]["/owner/app"]["post"]["requestBody"]["content"]
    whole["paths"]["/owner/app"]["post"]["requestBody"]["content"] = {
        "text/plain": {"schema": {"title": "No"}},
        **content,
    }
    assert schemas_in(whole, "owner/app") == ({"title": "In"}, {})


def test_of_several_endpoints_the_right_one_is_taken():
    whole = document({"title": "In"}, {"title": "Out"})
    whole["paths"]["/owner/app/edit"] = {"post": {"requestBody": {"content": {JSON: {"schema": {"title": "Edit"}}}}}}
    whole["paths"]["/owner/app/edit/requests/{request_id}"] = {
        "get": {"responses": {"200": {"content": {JSON: {"schema": {"title": "Edited"}}}}}}
    }
    assert schemas_in(whole, "owner/app") == ({"title": "In"}, {"title": "Out"})
    assert schemas_in(whole, "owner/app/edit") == ({"title": "Edit"}, {"title": "Edited"})
    assert schemas_in(whole, "owner/other") is None


def test_a_result_that_is_not_described_may_be_anything():
    assert schemas_in(document({"title": "In"}), "owner/app") == ({"title": "In"}, {})


@pytest.mark.parametrize("nonsense", [None, [], "x", {}, {"paths": []}, {"paths": {"/owner/app": {"post": None}}}])
def test_what_is_no_document_has_no_schemas(nonsense: Any):
    assert schemas_in(nonsense, "owner/app") is None

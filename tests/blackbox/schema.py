"""A small JSON Schema checker: what docs/openapi.json uses of it. SPDX-License-Identifier: MIT"""

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "number": (int, float), "integer": int}
KNOWN = {"type", "required", "enum", "properties", "items", "additionalProperties", "$ref", "oneOf", "format", "description",
         "minimum", "maximum", "default"}


def errors(value, schema, root, where="answer"):
    """All the ways in which value is not what schema says."""
    unknown = set(schema) - KNOWN
    if unknown:
        return [f"{where}: the checker does not know {unknown}"]
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return errors(value, target, root, where)
    if "oneOf" in schema:
        tries = [errors(value, s, root, where) for s in schema["oneOf"]]
        return [] if sum(not t for t in tries) == 1 else [f"{where}: fits {sum(not t for t in tries)} of oneOf: {tries}"]
    return check_type(value, schema, root, where)


def check_type(value, schema, root, where):
    kind = schema.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return [f"{where}: {value!r} is not of type {kind}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: {value!r} is not one of {schema['enum']}"]
    found = []
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += [f"{where}: {name} is missing" for name in schema.get("required", []) if name not in value]
        for name, member in value.items():
            if name in properties:
                found += errors(member, properties[name], root, f"{where}.{name}")
            elif schema.get("additionalProperties") is False:
                found.append(f"{where}: {name} is not in the schema")
    if isinstance(value, list) and "items" in schema:
        for i, member in enumerate(value):
            found += errors(member, schema["items"], root, f"{where}[{i}]")
    return found

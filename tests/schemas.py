"""The JSON shapes of man/schemas.json: what paycurl prints is held against them wherever a test sees it."""

import json
import pathlib

import jsonschema

SCHEMAS = json.loads((pathlib.Path(__file__).resolve().parent.parent / "man/schemas.json").read_text())

# The key that tells a shape; the first that is there decides.
SHAPES = (("summary", "validate"), ("issues", "discover"), ("kind", "decode"), ("authorization", "sign"), ("services", "servicesList"), ("service", "servicesShow"),
          ("serviceId", "servicesEndpoints"), ("quote", "dryRun"), ("offers", "inspect"), ("payments", "paymentsList"), ("results", "paymentsResume"),
          ("accounts", "accountList"), ("account", "accountShow"), ("sessions", "sessionsList"),
          ("session", "sessionsShow"), ("response", "request"), ("payment", "paymentsShow"), ("checks", "doctor"),
          ("config", "config"), ("error", "failed"))
VALIDATORS = {shape: jsonschema.Draft202012Validator({"$ref": f"#/$defs/{shape}", "$defs": SCHEMAS["$defs"]})
              for shape in (*dict(SHAPES).values(), "sessionsClose")}


def check(text):
    """Raises when `text` is an object of paycurl's that does not have its shape."""
    if not text.startswith(b'{"paycurl":') or text.count(b"\n") != 1:
        return
    value = json.loads(text)
    shape = next(shape for key, shape in SHAPES if key in value)
    if value.get("results") and "how" in value["results"][0]:
        shape = "sessionsClose"
    errors = list(VALIDATORS[shape].iter_errors(value))
    if errors:
        where = "/".join(str(step) for step in errors[0].absolute_path)
        raise AssertionError(f"not of the shape {shape}: {where}: {errors[0].message}\n{text.decode()[:2000]}")

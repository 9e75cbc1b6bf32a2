"""The JSON API's records: what `data` and `error` hold, field by field; one module for what belongs together.

`docs/json-api-schema.json` is generated from these classes, by way of `catalogue`. A field that `LEFT_OUT` marks is
absent, not null, when it has no value. Sizes are bytes, times UTC in `YYYY-MM-DDTHH:MM:SSZ`.
"""

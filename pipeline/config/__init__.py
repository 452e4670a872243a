"""The configuration of an experiment: one YAML file, checked as a whole before anything heavy is imported.

`schema` holds the sections with their fields, defaults and rules, `checks` finds every error at once, `messages` says what
a user reads, `load` leads from YAML and `--set` to an Experiment. `python -m pipeline.config` writes the JSON schema.
"""

from pipeline.config.load import config_hash, load_config, read_config, to_yaml
from pipeline.config.messages import ConfigError
from pipeline.config.schema import SCHEMA_FILE, Experiment, json_schema, schema_text

__all__ = [
    "SCHEMA_FILE",
    "ConfigError",
    "Experiment",
    "config_hash",
    "json_schema",
    "load_config",
    "read_config",
    "schema_text",
    "to_yaml",
]

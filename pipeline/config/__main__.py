"""python -m pipeline.config: write the JSON schema that editors use."""

from pipeline.config.schema import SCHEMA_FILE, schema_text

if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    print(SCHEMA_FILE)

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from hat.config import documents
from hat.config.configuration import Configuration
from hat.errors import InputError

ROOT = Path(__file__).parents[3]


def test_generated_documents_are_up_to_date():
    for path, text in documents.documents(ROOT / "config").items():
        assert path.read_text() == text, f"{path} has drifted from the models: run `hat config docs`"


def test_default_file_is_up_to_date():
    shipped = (ROOT / "config" / "config.yaml").read_text()
    assert shipped == documents.default_file(), "run `hat config default > config/config.yaml`"


def test_default_file_holds_the_defaults():
    assert Configuration.model_validate(yaml.safe_load(documents.default_file())) == Configuration()


@pytest.mark.parametrize(("kind", "folder"), [(kind, f"{kind}s") for kind in ("task", "space", "device", "baseline")])
def test_shipped_files_fit_their_schema(kind, folder):
    schema = documents.schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    for path in (ROOT / "config" / folder).glob("*.yaml"):
        jsonschema.validate(json.loads(json.dumps(yaml.safe_load(path.read_text()))), schema)


def test_unknown_schema():
    with pytest.raises(InputError, match="expected one of config, task, space, device"):
        documents.schema("nosuch")


def test_every_key_is_described():
    for model, file in documents.FILES.values():
        for key, kind, _, meaning in documents.rows(model):
            assert meaning and kind, f"{file}, {key}"


def test_missing_markers():
    with pytest.raises(InputError, match="are missing"):
        documents.update_readme("# Configuration\n")

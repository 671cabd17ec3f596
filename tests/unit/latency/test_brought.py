"""Datasets that are brought from elsewhere, and the schema that datasets have to meet."""

import numpy as np
import pandas as pd
import pytest
from reference import latencies
from toy_device import SMALL, WIDE, true_latency_ms, workload, write_configuration, write_dictionaries

from hat.artifacts.layout import Results
from hat.config.scope import BudgetScope, DeviceScope
from hat.config.settings import Settings
from hat.errors import InputError
from hat.latency import stages
from hat.latency.dataset import architectures_of, read_parquet
from hat.latency.deployed import measure_model
from hat.latency.external import DEPTHS, OF_LAYERS, read_external
from hat.space.search_space import SearchSpace

SAID = {"device": "away", "runtime": "torch-published", "precision": "fp32", "threads": 1}


def published(space, count: int) -> pd.DataFrame:
    """Rows in the research code's form, of random Architectures, whose latency is known."""
    import random

    rng = random.Random(1)
    rows = []
    for _ in range(count):
        point = SearchSpace(space).sample(rng)
        row = {name: getattr(point, name) for name in ("encoder_embed_dim", "decoder_embed_dim")}
        row |= {column: getattr(point, f"{side}_layers") for side, column in DEPTHS.items()}
        row |= {column: float(np.mean(getattr(point, name))) for name, (column, _) in OF_LAYERS.items()}
        latency = true_latency_ms(point)
        row |= {"latency_mean_encoder": 1.0, "latency_mean_decoder": latency - 1.0}
        rows.append({**row, "latency_std_encoder": 0.3, "latency_std_decoder": 0.4})
    return pd.DataFrame(rows)


def test_published_rows_become_networks_of_the_same_sums(tmp_path):
    made = published(WIDE, 60)
    made.to_csv(tmp_path / "published.csv", index=False)
    frame = read_external(tmp_path / "published.csv", WIDE, workload(WIDE), SAID)
    assert frame.attrs["representative"]
    assert len(frame) == 60
    assert frame["spread_ms"].tolist() == pytest.approx([1.349 * 0.5] * 60)
    for point, row in zip(architectures_of(frame, "x"), made.to_dict("records"), strict=True):
        assert (point.encoder_embed_dim, point.decoder_layers) == (row["encoder_embed_dim"], row["decoder_layer_num"])
        for name, (column, side) in OF_LAYERS.items():
            assert sum(getattr(point, name)) == pytest.approx(row[column] * row[DEPTHS[side]])
    assert frame["latency_ms"].tolist() == pytest.approx(
        (made.latency_mean_encoder + made.latency_mean_decoder).tolist()
    )
    made.loc[0, "encoder_ffn_embed_dim_avg"] = 1234.5
    made.to_csv(tmp_path / "published.csv", index=False)
    with pytest.raises(
        InputError, match=r"row 1, encoder_ffn_embed_dim_avg: 1234\.5 over 6 layers, expected the average"
    ):
        read_external(tmp_path / "published.csv", WIDE, workload(WIDE), SAID)


@pytest.mark.parametrize("name", ["wmt14ende_cpu_raspberrypi", "wmt14enfr_cpu_xeon"])
def test_published_files_are_read(name):
    frame = read_external(latencies(name), WIDE, workload(WIDE), SAID)
    # The few rows of equal averages are one.
    assert 1990 <= len(frame) <= 2000


def test_a_device_without_a_host_is_predicted_from_a_file(tmp_path, capsys):
    published(SMALL, 80).to_csv(tmp_path / "published.csv", index=False)
    folder = write_configuration(tmp_path / "config")
    (folder / "devices/away.yaml").write_text(f"connection: ssh\nlatency: {tmp_path}/published.csv\nshortlist: false\n")
    settings, results = Settings(folder=folder), Results(tmp_path / "results")
    write_dictionaries(results)
    stages.collect_dataset(DeviceScope(settings, results, "toy", "away"))
    assert "has only averages over layers" in capsys.readouterr().err
    stages.fit_predictor(DeviceScope(settings, results, "toy", "away"))
    with pytest.raises(Exception, match=r"^device 'away': .*published\.csv, and no host to measure on"):
        measure_model(BudgetScope(settings, results, "toy", "away", "20ms"))
    # Its dataset may be brought by others.
    parquet = results.latency("toy", "away") / "dataset.parquet"
    again = read_external(parquet, SMALL, workload(SMALL), SAID)
    assert again["latency_ms"].tolist() == read_parquet(parquet)["latency_ms"].tolist()


def test_own_form_needs_little(tmp_path):
    points = [SearchSpace(SMALL).smallest, SearchSpace(SMALL).largest]
    rows = pd.DataFrame({"architecture": [point.to_json() for point in points], "latency_ms": [3.0, 5.0]})
    path = tmp_path / "own.csv"
    rows.to_csv(path, index=False)
    frame = read_external(path, SMALL, workload(SMALL), SAID)
    assert architectures_of(frame, "x") == points
    assert not frame.attrs["representative"]
    rows.assign(latency_ms=[3.0, -1.0]).to_csv(path, index=False)
    with pytest.raises(
        InputError, match=r"own\.csv: not a latency dataset: .*latency_ms holds -1\.0, expected positive"
    ):
        read_external(path, SMALL, workload(SMALL), SAID)
    rows.drop(columns="latency_ms").to_csv(path, index=False)
    with pytest.raises(InputError, match="has no column latency_ms"):
        read_external(path, SMALL, workload(SMALL), SAID)
    rows.assign(latency_low_ms=4.0).to_csv(path, index=False)
    with pytest.raises(InputError, match="expected latency_low_ms <= latency_ms"):
        read_external(path, SMALL, workload(SMALL), SAID)
    pd.DataFrame({"x": [1]}).to_csv(path, index=False)
    with pytest.raises(InputError, match="expected architecture, latency_ms"):
        read_external(path, SMALL, workload(SMALL), SAID)
    with pytest.raises(InputError, match="no such file"):
        read_external(tmp_path / "none.csv", SMALL, workload(SMALL), SAID)

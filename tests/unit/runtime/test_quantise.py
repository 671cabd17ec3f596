"""K-means: what a code book promises, its stored form, and the network that is read back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from toy_device import SMALL

from hat.config.kmeans import PRECISIONS, quantisation
from hat.config.networks import Network
from hat.errors import InputError
from hat.runtime import runtime
from hat.runtime.base import fixed_length_decoding, synthetic_sentence
from hat.runtime.kmeans.cluster import cells, cluster, exact_means, nearest, quick_means, refine
from hat.runtime.kmeans.stored import counted_size, pack, read_weights, unpack, write_quantised
from hat.runtime.random_network import blueprint_of, random_weights
from hat.runtime.weights_file import WEIGHTS
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape
from hat.space.tensors import EMBEDDING_TENSORS

finite = st.floats(-1e3, 1e3, width=32)
TENSORS = nps.arrays(np.float32, nps.array_shapes(max_dims=2, max_side=24), elements=finite)


def squared_error(weights, codebook):
    """Of weights from their nearest entries, looked at one by one."""
    return np.square(weights.reshape(-1, 1) - codebook.astype(np.float64)).min(1).sum()


@given(TENSORS, st.sampled_from([1, 2, 5, 16, 256]))
def test_every_weight_has_its_nearest_entry_and_every_entry_is_a_mean(weights, entries):
    found = cluster(weights, entries)
    assert len(found.codebook) <= entries
    assert (np.diff(found.codebook) > 0).all()
    assert found.indices.shape == weights.shape
    distances = np.abs(weights[..., None].astype(np.float64) - found.codebook)
    assert np.array_equal(found.indices, distances.argmin(-1))
    for number, entry in enumerate(found.codebook):
        own = weights[found.indices == number]
        assert own.size
        assert entry == own.mean(dtype=np.float64).astype(np.float32)


@given(TENSORS, st.sampled_from([2, 5, 16]), st.booleans(), st.data())
def test_no_iteration_makes_the_error_larger(weights, entries, exact, data):
    ordered = np.sort(weights, axis=None)
    codebook = np.sort(data.draw(nps.arrays(np.float32, entries, elements=finite)))
    means = (exact_means if exact else quick_means)(ordered)
    error = squared_error(ordered, codebook)
    for _ in range(20):
        codebook = refine(ordered, codebook, means)
        after = squared_error(ordered, codebook)
        assert after <= error * (1 + 1e-6) + 1e-6
        error = after


@given(nps.arrays(np.float32, 16, elements=finite, unique=True), st.randoms())
def test_as_many_values_as_entries_are_kept_exactly(values, random):
    weights = np.array([*values, *random.choices(values, k=400)], np.float32).reshape(-1, 8)
    found = cluster(weights, 16)
    assert np.array_equal(found.values, weights)
    assert np.array_equal(found.codebook, np.unique(values))


def test_a_large_tensor_is_settled_near_the_best_error():
    weights = np.random.default_rng(1).standard_normal((700, 800)).astype(np.float32)
    for entries, best in ((16, 0.00950), (256, 4.15e-5)):
        found = cluster(weights, entries)
        assert np.square(found.values - weights).mean() == pytest.approx(best, rel=0.1)
        again = cluster(weights[::-1], entries)
        assert np.array_equal(again.codebook, found.codebook)
        assert np.array_equal(again.indices[::-1], found.indices)


def test_an_entry_without_weights_moves_to_the_farthest_weight():
    ordered = np.array([0, 1, 2, 9], np.float32)
    codebook = np.array([1, 50, 60], np.float32)
    after = refine(ordered, codebook, exact_means(ordered))
    assert after.tolist() == [0, 3, 9]
    begins, ends = cells(ordered, after)
    assert list(zip(begins, ends, strict=True)) == [(0, 2), (2, 3), (3, 4)]
    assert nearest(ordered, after).tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("weights", "entries", "sentence"),
    [
        ([1.0, np.nan], 16, "not all finite"),
        ([np.inf], 16, "not all finite"),
        ([], 16, "no weights"),
        ([1.0], 257, "1 to 256"),
    ],
)
def test_what_cannot_be_clustered(weights, entries, sentence):
    with pytest.raises(ValueError, match=sentence):
        cluster(np.array(weights, np.float32), entries)


@given(nps.arrays(np.uint8, st.integers(1, 33), elements=st.integers(0, 15)))
def test_two_indices_of_four_bits_share_a_byte(indices):
    assert len(pack(indices, 4)) == -(-len(indices) // 2)
    for bits in (4, 8):
        assert np.array_equal(unpack(pack(indices, bits), len(indices), bits), indices)


@pytest.fixture(params=["all", "none"])
def network(request):
    """A blueprint and weights; embeddings shared, or not."""
    shape = Shape.of(SMALL, Network(share_embeddings=request.param), 61, 61)
    architecture = SearchSpace(SMALL).smallest
    return blueprint_of(architecture, shape), random_weights(architecture, shape, 1)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_file_gives_back_what_was_quantised(network, tmp_path, precision):
    blueprint, weights = network
    kind, path = PRECISIONS[precision], tmp_path / "weights.npz"
    write_quantised(path, weights, blueprint.shape, kind)
    found, own = read_weights(path), {**weights}
    if blueprint.shape.share_embeddings == "all":
        del own["target_embedding.weight"], own["projection.weight"]
    assert found.keys() == own.keys()
    counted = {"index_bytes": 0, "codebook_bytes": 0, "fp32_bytes": 0}
    for name, tensor in own.items():
        if tensor.ndim == 1 or (name in EMBEDDING_TENSORS and not kind.embeddings):
            assert np.array_equal(found[name], tensor)
            counted["fp32_bytes"] += 4 * tensor.size
        else:
            clusters = cluster(tensor, 2**kind.bits)
            assert np.array_equal(found[name], clusters.values)
            assert len(np.unique(found[name])) == len(clusters.codebook) == 2**kind.bits
            counted["index_bytes"] += -(-tensor.size * kind.bits // 8)
            counted["codebook_bytes"] += 4 * 2**kind.bits
    assert counted_size(path).to_dict() == {**counted, "total_bytes": sum(counted.values())}


def test_a_network_of_few_values_translates_as_in_fp32(network, tmp_path):
    blueprint, weights = network
    rounded = {name: (np.round(tensor * 8) / 8).clip(-0.875, 0.875) for name, tensor in weights.items()}
    decoding = fixed_length_decoding(9, 3)
    found = []
    for precision in ("fp32", "kmeans4"):
        folder = tmp_path / precision
        folder.mkdir()
        chosen = runtime("torch", precision, 1)
        chosen.write(folder, blueprint, rounded, None)
        found.append(
            chosen.load(folder, blueprint).translate([synthetic_sentence(61, 7), synthetic_sentence(61, 4)], decoding)
        )
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda a: a.pop("encoder.0.ffn.out.weight:indices"), "has a code book, but no indices"),
        (lambda a: a.pop("encoder.0.ffn.out.weight:codebook"), "encoder.0.ffn.out.weight"),
        (lambda a: a.update({"encoder.0.ffn.out.weight:codebook": np.zeros(3, np.float32)}), "an index 15 into a code"),
        (lambda a: a.update({"encoder.0.ffn.out.weight:indices": np.zeros(3, np.uint8)}), "has 3 bytes of indices"),
        (lambda a: a.update({"encoder.0.ffn.out.weight:shape": np.array([-1, -1])}), "bytes of indices for the shape"),
        (lambda a: a.update({"encoder.0.ffn.out.weight:shape": np.array([2**62, 4])}), "bytes of indices for the"),
        (lambda a: a.update({"encoder.0.ffn.out.weight:codebook": np.zeros(16)}), "expected a code book in fp32"),
        (lambda a: a.update({"encoder.0.ffn.out.weight:shape": np.array(["x"])}), "weights.npz"),
    ],
)
def test_a_malformed_file_is_one_sentence(network, tmp_path, damage, sentence):
    blueprint, weights = network
    chosen = runtime("torch", "kmeans4", 1)
    chosen.write(tmp_path, blueprint, weights, None)
    with np.load(tmp_path / WEIGHTS) as stored:
        arrays = dict(stored)
    damage(arrays)
    np.savez(tmp_path / WEIGHTS, **arrays)
    with pytest.raises(InputError, match=sentence) as caught:
        chosen.load(tmp_path, blueprint)
    assert str(tmp_path / WEIGHTS) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_weight_that_is_no_number_names_its_tensor(network, tmp_path):
    blueprint, weights = network
    weights = {**weights, "encoder.0.ffn.out.weight": np.full_like(weights["encoder.0.ffn.out.weight"], np.nan)}
    with pytest.raises(InputError, match=r"encoder\.0\.ffn\.out\.weight: cannot be quantised"):
        write_quantised(tmp_path / "weights.npz", weights, blueprint.shape, PRECISIONS["kmeans4"])
    assert not list(tmp_path.iterdir())


def test_there_are_four_and_eight_bits():
    assert quantisation(4, embeddings=True).precision == "kmeans4"
    assert quantisation(8, embeddings=False).precision == "kmeans8-published"
    with pytest.raises(InputError, match="quantisation to 5 bits is unknown, expected 4 or 8"):
        quantisation(5, embeddings=True)

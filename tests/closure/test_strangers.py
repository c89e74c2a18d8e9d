"""Patches unlike those of training are flagged, named and meet the policies; ordinary ones are not."""

import numpy as np
import pytest

import mld_closure as mld
from mld_closure.closure.fallback import FallbackRequest
from mld_closure.closure.policies import Status
from mld_closure.errors import BundleError, ClosureError
from mld_closure.models.bundle import Bundle
from mld_closure.patches.voids import VoidRules
from mld_closure.surrogate.novelty import Familiar

SIZE = (320, 480)


def shifted(mu, sigma):
    """Blurred along both axes by a Gaussian of so many pixels."""
    k = np.exp(-0.5 * (np.arange(-12, 13) / sigma) ** 2)
    k /= k.sum()
    for axis in (0, 1):
        mu = np.apply_along_axis(lambda row: np.convolve(np.pad(row, 12, mode="edge"), k, "valid"), axis, mu)
    return mu


def sample(seed, **rules):
    """A window of a specimen whose voids are those of training, unless told otherwise."""
    porosity = rules.pop("porosity", 0.11)
    made = mld.Specimen.generate(SIZE, 50e-9, seed, porosity=porosity, rules=VoidRules(**rules))
    return made.window(0, 0, SIZE[1], SIZE[0])


def odd_patches(seed):
    """Microstructures that no pack of training looks like, by name."""
    draw = np.random.default_rng(seed)
    y, x = np.indices(SIZE)
    plain = sample(seed)
    large = np.ones(SIZE)
    large[(x - draw.uniform(150, 330)) ** 2 + (y - draw.uniform(100, 220)) ** 2 < 60**2] = 0  # 6 um
    crack = np.where(np.abs(y - draw.uniform(100, 220)) < 3, 0.0, 1.0)
    half = np.kron((draw.random((10, 15)) < 0.5).astype(float), np.ones((32, 32)))
    return {
        "half of it void": half,
        "voids of 6 um": large,
        "noise": (draw.random(SIZE) < 0.9).astype(float),
        "grey noise": draw.random(SIZE),
        "salt": (draw.random(SIZE) < 0.99).astype(float),
        "inverted": 1 - plain,
        "all void": np.zeros(SIZE),
        "no pores": np.ones(SIZE),
        "one pore": np.where((x - 300) ** 2 + (y - 160) ** 2 < 13**2, 0.0, 1.0),
        "blurred": shifted(plain, 4.0),
        "stretched along x": np.repeat(plain, 2, axis=1)[:, : SIZE[1]],
        "stretched along y": np.repeat(plain, 2, axis=0)[: SIZE[0]],
        "twice as large": np.kron(plain, np.ones((2, 2)))[: SIZE[0], : SIZE[1]],
        "half as large": sample(seed, median=0.5e-6, smallest=0.3e-6, largest=1.2e-6, gap=0.1e-6),
        "crack": crack,
        "layers": np.where(x % 40 < 4, 0.0, 1.0),
        "checks": np.where((x // 8 + y // 8) % 2, 0.0, 1.0),
        "porosity 0.25": sample(seed, porosity=0.24),
        "porosity 0.01": sample(seed, porosity=0.012),
        "faded": 0.5 + 0.5 * plain,
    }


@pytest.fixture(scope="module")
def familiar():
    return Familiar.from_table(Bundle.load("hmx-compact").microstructure, "meso")


def look(familiar, mu):
    return familiar.look(np.asarray(mu, np.float32)[None], 50e-9)[0] > 1


def test_odd_patches_are_flagged(familiar):
    found = {(name, seed): look(familiar, mu) for seed in (1, 2, 3) for name, mu in odd_patches(seed).items()}
    missed = [key for key, flagged in found.items() if not flagged]
    assert sum(found.values()) >= 0.95 * len(found), missed


def test_ordinary_patches_are_not(familiar):
    draw = np.random.default_rng(0)
    flagged = [look(familiar, sample(1000 + k, porosity=draw.uniform(0.08, 0.14))) for k in range(150)]
    assert np.mean(flagged) <= 0.02


def known(kit, seeds=60):
    """Ranges of the patches of the other tests."""
    return Familiar.learn(kit.patches(seeds, seed=7), kit.PIXEL, kit.ENTRY)


def guarded(kit, patches, shape=(32, 32), **options):
    bundle = kit.bundle()
    bundle.microstructure["meso"] = known(kit).to_table()
    closure = kit.make(n=0, given=bundle, **options)
    closure.register(np.arange(len(patches)), patches=np.asarray(patches, np.float32))
    return closure


def mixed(kit):
    """Two ordinary patches, one all solid, one inverted."""
    plain = kit.patches(3, seed=5)
    return [plain[0], plain[1], np.ones_like(plain[0]), 1 - plain[2]]


def test_strange_patches_are_told_in_the_status(kit):
    closure = guarded(kit, mixed(kit))
    out = kit.run(closure, [0.0, 1e-9], lambda t: 8e9)[-1]
    strange = (out.status & Status.MICROSTRUCTURE) != 0
    assert strange.tolist() == [False, False, True, True]
    assert (((out.status & Status.EXTRAPOLATING) != 0) == strange).all()
    assert ((out.status & Status.ACTIVE) != 0).all()
    assert not (out.status & Status.PATCH_SIZE).any()
    out = kit.run(closure, [1e-9, 2e-9], lambda t: 8e9)[-1]
    assert ((out.status & Status.MICROSTRUCTURE) != 0).tolist() == strange.tolist()


def test_they_are_refused_where_policy_says_so(kit):
    closure = guarded(kit, mixed(kit), on_extrapolation="error")
    closure.begin_step(0.0, 1e-9)
    with pytest.raises(ClosureError, match=r"patch of cells 2, 3 is unlike those trained on \(") as refused:
        closure.advance(pressure=np.full(4, 8e9))
    assert refused.value.ids.tolist() == [2, 3]
    closure.rollback()
    closure.begin_step(0.0, 1e-9)
    closure.advance([0, 1], pressure=np.full(2, 8e9))


def test_the_fallback_serves_them_where_policy_says_so(kit):
    asked = []

    def physics(request: FallbackRequest):
        asked.extend(request.ids.tolist())
        return request.before

    closure = guarded(kit, mixed(kit), on_extrapolation="fallback", fallback=physics)
    out = kit.run(closure, [0.0, 1e-9], lambda t: 8e9)[-1]
    assert sorted(set(asked)) == [2, 3]
    assert ((out.status & Status.FALLBACK) != 0).tolist() == [False, False, True, True]


def test_another_size_is_told(kit, caplog):
    with caplog.at_level("WARNING"):
        closure = guarded(kit, kit.patches(2, shape=(32, 64)))
    assert "32 x 64 pixels: the model was trained on 32 x 32" in caplog.text
    out = kit.run(closure, [0.0, 1e-9, 2e-9], lambda t: 8e9)[-1]  # the shock takes 0.8 ns to cross a patch
    assert ((out.status & Status.PATCH_SIZE) != 0).all()
    assert ((out.status & Status.EXTRAPOLATING) != 0).all()


@pytest.mark.parametrize(
    ("patch", "sentence"),
    [
        (np.zeros, "is all void"),
        (np.ones, "has no pores"),
        (lambda s: np.full(s, 0.2), "turn an inverted image"),
    ],
)
def test_each_is_named_at_registration(kit, caplog, patch, sentence):
    closure = kit.make(n=0)
    with caplog.at_level("WARNING"):
        closure.register([7], patches=patch((1, 32, 32)).astype(np.float32))
    assert sentence in caplog.text
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_a_code_that_registers_cells_in_each_step_does_not_fill_its_log(kit, caplog):
    closure = kit.make(n=0)
    with caplog.at_level("WARNING"):
        for number in range(50):
            closure.register([number], patches=np.ones((1, 32, 32), np.float32))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 10
    assert told[-1].endswith("(further ones are not told)")


def test_ordinary_patches_are_registered_in_silence(kit, caplog):
    with caplog.at_level("WARNING"):
        guarded(kit, kit.patches(3, seed=5))
    assert caplog.text == ""


def test_a_patch_of_a_specimen_that_is_read_by_windows_is_looked_at_when_it_starts(kit):
    bundle = kit.bundle()
    bundle.microstructure["meso"] = known(kit).to_table()
    closure = kit.make(n=0, given=bundle, patch_shape=(32, 32))
    sample = mld.Specimen.generate((64, 64), kit.PIXEL, 1, porosity=0.1)
    closure.register([1], specimen=sample, offsets=[[0.0, 0.0]])
    assert np.isnan(closure.state.novelty[0])
    out = kit.run(closure, [0.0, 1e-9], lambda t: 8e9)[-1]
    assert closure.state.novelty[0] > 1
    assert out.status[0] & Status.MICROSTRUCTURE


def test_uncertainty_is_wider_for_strange_patches(kit):
    bundle = kit.bundle(evolve_logvar=False)
    bundle.microstructure["meso"] = known(kit).to_table()
    bundle.errors["meso"] = {"loads": [500.0], "times": [0.0], "burn_rate": [[1e6]], "cases": 5}
    closure = kit.make(n=0, given=bundle)
    closure.register(np.arange(4), patches=np.asarray(mixed(kit), np.float32))
    out = kit.run(closure, [0.0, 1e-9], lambda t: 8e9)[-1]
    novelty = closure.state.novelty
    np.testing.assert_allclose(out.uncertainty, 1e6 * np.maximum(novelty, 1.0))
    assert (out.uncertainty[2:] > 2e6).all()


@pytest.mark.parametrize(
    "table", [{"meso": 3}, {"meso": {"shape": [1]}}, {"meso": {"ranges": {"porosity": [1, 0]}}}]
)
def test_ranges_that_are_none_are_refused(kit, table):
    bundle = kit.bundle()
    bundle.microstructure = table
    with pytest.raises(BundleError, match="microstructures cannot be used"):
        kit.make(given=bundle)

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from mlagents_envs.envs.faces import UnityGymException
from mlagents_envs.envs.gymnasium_ids import register_ids
from mlagents_envs.envs.unity_vector_env import UnityVectorEnv
from mlagents_envs.examples.catalog import NAMES, make

pytest.importorskip("numba")

IDS = [f"mlagents/{name}-v0" for name in NAMES]
CROWDED = ("FoodCollector", "PushBlockCollab", "SoccerTwos", "VisualFoodCollector")
ALONE = [name for name in NAMES if name not in CROWDED]
ON_MUJOCO = ("Crawler", "Walker", "Worm")


@pytest.fixture(autouse=True)
def mujoco(request):
    """Scenes on MuJoCo are left out where it is missing."""
    if getattr(request.node, "callspec", None) and request.node.callspec.params.get("name") in ON_MUJOCO:
        pytest.importorskip("mujoco")


def test_every_example_has_an_id_and_is_registered_once(recwarn):
    assert register_ids() == IDS
    assert set(IDS) <= gymnasium.registry.keys()
    assert not recwarn.list  # gymnasium warns where an id is given twice


def test_gymnasiums_syntax_of_modules_finds_the_ids():
    program = """
import sys, gymnasium
env = gymnasium.make("mlagents_envs.envs:mlagents/Basic-v0")
print(env.spec.id, "mlagents_envs.examples.ball3d" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "mlagents/Basic-v0 False\n"


@pytest.mark.parametrize("name", ALONE)
def test_gymnasiums_own_check_passes_for_every_id(name):
    env = gymnasium.make(f"mlagents/{name}-v0", render_mode="rgb_array", size=(64, 40))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*infinity.*")
        check_env(env.unwrapped)
    env.reset(seed=3)
    obs, *_ = env.step(env.action_space.sample())
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((40, 64, 3), np.uint8)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10
    sensors = make(name, areas=1).SPEC.observation_specs
    seen = list(obs.values()) if isinstance(obs, dict) else [obs]
    assert [column.shape for column in seen] == [tuple(sensor.shape) for sensor in sensors]  # all, in their order
    assert list(obs) == sorted(obs) if isinstance(obs, dict) else True  # as gymnasium keeps the keys of a Dict


def test_a_picture_has_the_size_of_a_film_and_moves_with_the_scene():
    env = gymnasium.make("mlagents/3DBall-v0", render_mode="rgb_array")
    env.reset(seed=1)
    first = env.render()
    assert first.shape == (400, 640, 3)
    for _ in range(4):
        env.step(np.ones(2, np.float32))
    assert (np.abs(first.astype(int) - env.render()).max(axis=2) > 40).mean() > 0.01
    assert env.metadata["render_fps"] == 10


def test_nothing_is_painted_unasked():
    env = gymnasium.make("mlagents/Basic-v0")
    env.reset()
    assert env.unwrapped.render() is None


@pytest.mark.parametrize("name", CROWDED)
@pytest.mark.parametrize("make_some", [gymnasium.make, lambda id: gymnasium.make_vec(id, num_envs=2)])
def test_scenes_of_several_agents_are_refused_and_pettingzoo_is_named(name, make_some):
    sentence = rf"{name}: \d agents play in each area, but a gymnasium\.Env has one; use PettingZoo instead: mlagents_envs"
    with pytest.raises(UnityGymException, match=sentence):
        make_some(f"mlagents/{name}-v0")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"parameters": {"masss": 1.0}}, "there is no environment parameter 'masss'; there is: "),
        ({"render_mode": "ansi"}, "render_mode is 'ansi'; it must be 'rgb_array' or None"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*not in the possible render_modes")
def test_what_no_scene_takes_is_a_sentence(options, sentence):
    with pytest.raises(UnityGymException, match=sentence):
        gymnasium.make("mlagents/3DBall-v0", **options)


def test_pictures_without_numba_are_refused_before_anything_is_played(monkeypatch):
    monkeypatch.setattr("mlagents_envs.envs.example_gym_env.find_spec", lambda name: None)
    with pytest.raises(UnityGymException, match=r"painting needs numba; pip install 'mlagents-envs\[examples\]'"):
        gymnasium.make("mlagents/Basic-v0", render_mode="rgb_array")


def test_environments_without_a_seed_begin_differently_and_with_one_alike():
    def begin(**options):
        return gymnasium.make("mlagents/3DBall-v0", **options).reset()[0]

    assert not np.array_equal(begin(), begin())
    assert np.array_equal(begin(seed=4), begin(seed=4))


def test_environment_parameters_reach_the_scene():
    env = gymnasium.make("mlagents/3DBall-v0", parameters={"scale": 2.0, "mass": lambda n: np.full(n, 3.0)})
    assert env.unwrapped.reset(seed=1)[0].shape == (8,)


def test_a_vector_of_them_is_one_scene_with_so_many_areas():
    env = gymnasium.make_vec("mlagents/3DBall-v0", num_envs=6)
    assert isinstance(env.unwrapped, UnityVectorEnv)
    obs, _ = env.reset(seed=1)
    assert obs.shape == (6, 8)
    assert env.step(env.action_space.sample())[1].shape == (6,)
    with pytest.raises(UnityGymException, match="lanes are not painted: omit it, or say vectorization_mode='sync'"):
        gymnasium.make_vec("mlagents/3DBall-v0", num_envs=2, render_mode="rgb_array")


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_gymnasiums_own_vectors_hold_them_too(mode):
    env = gymnasium.make_vec("mlagents/Basic-v0", num_envs=2, vectorization_mode=mode)
    try:
        assert env.reset(seed=1)[0].shape == (2, 20)
        assert env.step(env.action_space.sample())[1].shape == (2,)
    finally:
        env.close()

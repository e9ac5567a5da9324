from importlib.util import find_spec

import numpy as np
import pytest

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.basic import Basic
from mlagents_envs.examples.catalog import NAMES, make
from mlagents_envs.examples.drawing import Drawing, about_y, between, shapes
from mlagents_envs.examples.look.look import draw, layout, look_of
from mlagents_envs.exception import UnityEnvironmentException

WALKING = {"Crawler", "Walker", "Worm"}
INSTALLED = [name for name in NAMES if name not in WALKING or find_spec("mujoco")]


def play(env, decisions, seed=0):
    rng = np.random.default_rng(seed)
    spec = env.SPEC.action_spec
    for _ in range(decisions):
        for behavior in env.BEHAVIORS:
            decision, _ = env.get_steps(behavior)
            n = len(decision)
            action = ActionTuple(
                rng.uniform(-1, 1, (n, spec.continuous_size)).astype(np.float32),
                np.zeros((n, spec.discrete_size), np.int32),
            )
            for branch, size in enumerate(spec.discrete_branches):
                free = np.ones((n, size), bool) if decision.action_mask is None else ~decision.action_mask[branch]
                action.discrete[:, branch] = (free * rng.random(free.shape)).argmax(1)
            env.set_actions(behavior, action)
        env.step()


@pytest.fixture(params=INSTALLED)
def env(request):
    made = make(request.param, areas=2, seed=1)
    made.reset()
    return made


def test_every_example_can_be_drawn(env):
    for area in range(2):
        drawing = draw(env, [area])
        assert len(drawing.boxes) > 0
        assert drawing.agents.shape == (env.PER_AREA, 3)
        for kind in (drawing.boxes, drawing.spheres):
            assert np.isfinite(kind.view(np.float32)).all()
            assert (kind["size"] > 0).all()
            assert ((kind["color"] >= 0) & (kind["color"] <= 1)).all()
            assert np.linalg.norm(kind["quaternion"], axis=1) == pytest.approx(1.0, abs=1e-4)


def test_what_happens_is_seen(env):
    before = draw(env, [0])
    play(env, 5)
    after = draw(env, [0])
    assert any(
        one.tobytes() != other.tobytes()
        for one, other in [(before.boxes, after.boxes), (before.spheres, after.spheres)]
    )


def test_drawing_changes_nothing(env):
    other = make(env.NAME, areas=2, seed=1)
    other.reset()
    for _ in range(10):
        draw(env, [0])
        play(env, 1)
        play(other, 1)
    for one, two in zip(env.get_steps(env.behavior)[0].obs, other.get_steps(env.behavior)[0].obs, strict=True):
        assert np.array_equal(one, two)


def test_an_area_stays_inside_its_place(env):
    # boxes are seen as balls around them would be; half a metre over the edge disturbs nobody
    play(env, 20)
    width, depth = look_of(env).size
    drawing = draw(env, [1])
    x, _, z = np.abs(np.concatenate([drawing.boxes["position"], drawing.spheres["position"]])).T
    assert x.max() <= width / 2 + 0.5
    assert z.max() <= depth / 2 + 0.5


def test_keys_do_what_the_behavior_can_do(env):
    spec = env.SPEC.action_spec
    for press in look_of(env).keys.values():
        if press.discrete:
            assert 0 < press.value < spec.discrete_branches[press.which]
        else:
            assert press.which < spec.continuous_size and -1 <= press.value <= 1


def test_all_but_match3_and_walking_bodies_can_be_played_with_keys():
    played = {name for name in INSTALLED if look_of(make(name, areas=1)).keys}
    assert set(INSTALLED) - played == {"Match3", "Match3Visual"} | (WALKING & set(INSTALLED))


def test_3dball_stands_as_its_state_says():
    env = make("3DBall", areas=1)
    env.reset()
    drawing = draw(env, [0])
    w, x, y, z = env.state[0, :4]
    assert drawing.boxes["quaternion"][-1] == pytest.approx([x, y, z, w])
    assert drawing.spheres["position"][0] == pytest.approx(env.state[0, 4:7])
    assert drawing.spheres["size"][0] == pytest.approx([1, 1, 1])


def test_pushblock_shows_agent_and_block_where_they_are():
    env = make("PushBlock", areas=1)
    env.reset()
    agent, block = env.state.bodies[0, :2]
    drawing = draw(env, [0])
    assert drawing.agents[0, [0, 2]].tolist() == [agent["x"], agent["z"]]
    places = drawing.boxes["position"][:, [0, 2]].tolist()
    assert [block["x"], block["z"]] in places


def test_the_pressed_switch_of_pyramids_is_green():
    env = make("Pyramids", areas=1)
    env.reset()
    before = draw(env, [0]).boxes["color"].tolist()
    env.state.bodies["tag"][0, 1] = 4  # on
    after = draw(env, [0]).boxes["color"].tolist()
    (changed,) = [k for k, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    assert before[changed][0] > before[changed][1] and after[changed][1] > after[changed][0]


def test_the_laser_of_foodcollector_is_seen_while_it_shoots_and_ends_at_the_wall():
    pytest.importorskip("numba")
    from mlagents_envs.examples.look.foodcollector import BEAM

    def lasers():
        color = np.array(BEAM, np.float32)
        return [box for box in draw(env, [0]).boxes if np.array_equal(box["color"], color) and box["size"][2] > 1]

    env = make("FoodCollector", areas=1)
    env.reset()
    agents = env.state.bodies[0, : env.PER_AREA]
    agents["x"], agents["z"], agents["yaw"] = (-40, -20, 0, 20, 40), 0, (0, 0, 0, 0, np.pi / 2)
    assert lasers() == []
    action = env.SPEC.action_spec.empty_action(env.n)
    action.discrete[[1, 4]] = 1
    env.set_actions(env.behavior, action)
    env.step()
    ahead, short = lasers()
    assert ahead["size"][2] == pytest.approx(25) and ahead["position"][[0, 2]] == pytest.approx([-20, 12.5], abs=0.1)
    assert short["size"][2] == pytest.approx(10) and short["position"][[0, 2]] == pytest.approx([45, 0], abs=0.1)
    env.step()
    assert lasers() == []


def test_a_scene_that_nobody_has_drawn_says_so():
    unseen = type("Unseen", (Basic,), {"NAME": "Unseen", "__module__": "somewhere.unseen"})(areas=1)
    unseen.reset()
    with pytest.raises(
        UnityEnvironmentException, match=r"^builtin:Unseen: there is no drawing of it, .*look.unseen with a LOOK$"
    ):
        draw(unseen, [0])


def test_an_area_that_is_not_there_says_so():
    with pytest.raises(IndexError, match=r"^Basic: there is no area 3; there are 3, from 0 on$"):
        draw(make("Basic", areas=3), [3])


def test_areas_stand_beside_each_other():
    env = make("PushBlock", areas=6)
    env.reset()
    width, depth = look_of(env).size
    all_of_them = draw(env, range(6))
    assert len(all_of_them.boxes) == sum(len(draw(env, [area]).boxes) for area in range(6))
    assert len(np.unique(all_of_them.agents, axis=0)) == 6
    offsets = layout(6, (width, depth))
    apart = np.abs(offsets[:, None] - offsets[None])
    assert ((apart[..., 0] >= width - 1e-6) | (apart[..., 1] >= depth - 1e-6))[~np.eye(6, dtype=bool)].all()
    assert offsets.mean(axis=0) == pytest.approx([0, 0])


@pytest.mark.parametrize("n", [1, 2, 3, 5, 12, 100])
def test_any_number_of_areas_has_places(n):
    assert len(np.unique(layout(n, (10, 30)), axis=0)) == n


def test_halfway_is_in_the_middle():
    def drawing(x, yaw):
        return Drawing(shapes((x, 0, 0), size=(1, 1, 1), color=(1, 0, 0), quaternion=about_y(yaw)))

    half = between(drawing(0.0, 0.0), drawing(2.0, np.pi / 2), 0.5).boxes[0]
    assert half["position"].tolist() == [1.0, 0.0, 0.0]
    assert half["quaternion"] == pytest.approx(about_y(np.pi / 4)[0], abs=1e-6)
    assert between(drawing(0.0, 0.0), drawing(20.0, 1.0), 0.5).boxes["position"][0, 0] == 20.0  # it was put there


def test_a_quaternion_and_its_negative_do_not_cancel():
    def drawing(quaternion):
        return Drawing(shapes((0, 0, 0), size=(1, 1, 1), color=(1, 0, 0), quaternion=quaternion))

    half = between(drawing((0, 0, 0, 1)), drawing((0, 0, 0, -1)), 0.5).boxes["quaternion"][0]
    assert np.abs(half).tolist() == [0, 0, 0, 1]


def test_what_vanishes_is_gone_at_once():
    full, empty = Drawing(shapes((0, 0, 0), size=(1, 1, 1), color=(1, 0, 0))), Drawing()
    assert between(full, empty, 0.1) is empty

"""SoccerTwos: each goal has the color of the team that guards it."""

from __future__ import annotations

from mlagents_envs.examples.drawing import BLUE as BLUE_COLOR
from mlagents_envs.examples.drawing import GRASS, PURPLE, WHITE, Drawing, floor
from mlagents_envs.examples.drawing import WALL as WALL_COLOR
from mlagents_envs.examples.look.look import Look, choose
from mlagents_envs.examples.look.planar import cut, planar
from mlagents_envs.examples.soccer import BALL_TAG, BLUE, BLUE_GOAL, PURPLE_GOAL, WALL, SoccerTwos
from mlagents_envs.examples.soccer import PURPLE as PURPLE_TAG

COLORS = {BALL_TAG: WHITE, BLUE: BLUE_COLOR, BLUE_GOAL: BLUE_COLOR, PURPLE_TAG: PURPLE, PURPLE_GOAL: PURPLE,
          WALL: WALL_COLOR}  # fmt: skip


def draw(env: SoccerTwos, area: int) -> Drawing:
    """Return an area as it looks now."""
    bodies = cut(cut(env.state.bodies[area], WALL, to=0.6), BLUE_GOAL, PURPLE_GOAL, to=0.9)
    return planar(bodies, COLORS, floor(38, 21, color=GRASS), agents=range(env.PER_AREA))


KEYS = {"up": choose(0, 1), "down": choose(0, 2), "e": choose(1, 1), "q": choose(1, 2),
        "left": choose(2, 1), "right": choose(2, 2)}  # fmt: skip
LOOK = Look(draw, (43.0, 25.0), KEYS, yaw=0.0, pitch=50.0)

from mlagents.envs.parameters import lesson_values
from mlagents.envs.settings import SAMPLERS, Lesson, ParameterSettings, SamplerSettings
from mlagents_envs.samplers import Gaussian, MultiRangeUniform, Uniform


def lesson(kind, **numbers):
    settings = SamplerSettings(sampler_type=kind, sampler_parameters=SAMPLERS[kind](**numbers))
    return Lesson(value=settings, name=kind)


def parameters(**lessons):
    return {name: ParameterSettings(curriculum=given) for name, given in lessons.items()}


def test_each_parameter_has_the_values_of_its_lessons():
    values = lesson_values(
        parameters(
            mass=[lesson("constant", value=3.0)],
            scale=[lesson("uniform", min_value=1, max_value=2, seed=7)],
            wind=[lesson("gaussian", mean=0, st_dev=2, seed=8)],
            gap=[lesson("multirangeuniform", intervals=[[0, 1], [4, 6]], seed=9), lesson("constant")],
        ),
        seed=0,
    )
    assert values == {
        "mass": [3.0], "scale": [Uniform(1, 2, 7)], "wind": [Gaussian(0, 2, 8)],
        "gap": [MultiRangeUniform([[0, 1], [4, 6]], 9), 0.0],
    }  # fmt: skip


def test_seeds_that_are_not_given_count_up_from_the_runs_over_all_lessons():
    values = lesson_values(
        parameters(
            a=[lesson("uniform")],
            b=[lesson("uniform", seed=99), lesson("uniform"), lesson("constant")],
            c=[lesson("uniform")],
        ),
        seed=40,
    )
    seeds = [[getattr(value, "seed", None) for value in values[name]] for name in "abc"]
    assert seeds == [[40], [99, 41, None], [43]]

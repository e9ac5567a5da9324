"""A package that `mlagents-plugin new` writes: it learns as it is, from its file and installed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mlagents.api import Actions, Experience, NetworkSettings, PolicyInput, PolicyOutput, TrainerSetup, Transition
from mlagents.learn import main as learn
from mlagents.plugin_tool import main
from mlagents.plugins.catalog import Catalog
from mlagents.plugins.new import KINDS, TEMPLATES, Names, NewPluginError, check_name, write
from mlagents.rewards.signal import Extrinsic
from mlagents.settings.reading import load
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")

ROOT = Path(__file__).parents[2]
MAY = {"mlagents", "torch", "pydantic"}
PROGRAM = """
from mlagents.plugins.catalog import Catalog
kind = Catalog().find("my-trainer")
print(kind.origin, kind.trainer().__name__)
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])  # a plug-in's folder is added, for the modules beside it


@pytest.fixture(params=KINDS)
def package(request):
    """The folder `my_trainer` inside a package of each kind."""
    write("my-trainer", Path(), kind=request.param)
    return Path("my-trainer/my_trainer")


def installed(*arguments):
    """Run Python where only what lies in `site` is installed beside us, and return what it says."""
    paths = [str(Path("site").absolute()), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lay_out(folder):
    """Install a package into `site` as a wheel would lie there, by what its pyproject.toml says."""
    said = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    project, groups = said["project"], said["project"]["entry-points"]
    for name in said["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        shutil.copytree(folder / name, Path("site") / name)
    about = Path("site") / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()) for group, points in groups.items()]
    (about / "entry_points.txt").write_text("".join(lines))


def test_what_is_written_is_said_with_the_next_commands(capsys):
    assert main(["new", "my-trainer", "--folder", "some where"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    folder = Path("some where/my-trainer")
    assert {Path(line) for line in lines if (Path(line)).is_file()} == {
        file for file in folder.rglob("*") if file.is_file()
    }
    assert f'pip install -e "{folder}"' in lines
    assert "mlagents-plugin check my-trainer" in lines
    assert sum(line.startswith("mlagents-learn") for line in lines) == 2


def test_the_command_without_installing_is_one_that_works(capsys):
    main(["new", "my-trainer"])
    (command,) = [line for line in capsys.readouterr().out.splitlines() if "--plugin" in line]
    config = Path("my-trainer/my_trainer/my_trainer.yaml")
    config.write_text(re.sub("max_steps: .*", "max_steps: 200", config.read_text(encoding="utf-8")))
    assert learn(command.replace("\\", "/").split()[1:]) == 0


def test_it_learns_from_its_file_as_its_yaml_says(package, capsys):
    config = (package / "my_trainer.yaml").read_text(encoding="utf-8")
    Path("short.yaml").write_text(re.sub("max_steps: .*", "max_steps: 5000", config))
    arguments = ["--plugin", str(package / "my_trainer.py"), "--env", "builtin:Basic", "--run-id", "it", "--seed", "1"]
    assert learn(["short.yaml", *arguments]) == 0
    curve = [float(score) for score in re.findall(r"Mean Reward: (-?\d+\.\d+)", capsys.readouterr().out)]
    assert max(curve) > 0.9  # the best is 0.93; the small goal alone gives 0.08
    assert Path("results/it/Basic.onnx").is_file()


def test_its_yaml_is_sound(package):
    options, warnings = load(str(package / "my_trainer.yaml"), {"": {"plugins": [str(package / "my_trainer.py")]}})
    assert options.behaviors["Basic"].trainer_type == "my-trainer"
    assert not warnings


def test_its_settings_are_explained(package, capsys):
    assert main(["explain", "my-trainer", "--plugin", str(package / "my_trainer.py")]) == 0
    said = capsys.readouterr().out
    assert "class MyTrainer\n" in said
    own = re.findall(r"^    (\w+): .*= Field", (package / "my_trainer.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert own
    assert all(re.search(rf"^  {name} .*[<>]= .*\.$", said, re.MULTILINE) for name in own)  # with range and reason


def test_its_code_is_clean(package):
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", str(package.parent)]
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([*ruff, *command, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_its_trainer_leans_on_the_api_only(package):
    modules = re.findall(r"^(?:from|import) (\S+)", (package / "my_trainer.py").read_text(encoding="utf-8"), re.M)
    assert {module.split(".")[0] for module in modules} <= MAY | set(sys.stdlib_module_names)
    assert {module for module in modules if module.startswith("mlagents")} == {"mlagents.api"}


@pytest.fixture
def q_learner():
    """A trainer of the off-policy kind for branches of 2 and 3; its target says what the policy says, times 10."""
    write("my-trainer", Path(), kind="off-policy")
    kind = Catalog(["my-trainer/my_trainer/my_trainer.py"]).find("my-trainer")
    spec = BehaviorSpec([vector_sensor(1, "seen")], ActionSpec.create_discrete((2, 3)))
    setup = TrainerSetup(spec, NetworkSettings(hidden_units=4), [Extrinsic(gamma=0.5, strength=1.0)], 100)
    trainer = kind.trainer()(setup, kind.settings())
    for network, scale in ((trainer.policy, 1.0), (trainer.target, 10.0)):
        with torch.no_grad():
            network.head.weight.zero_()
            network.head.bias.copy_(scale * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    return trainer


def test_a_branch_of_the_q_learner_aims_at_its_own_best_allowed_choice(q_learner):
    none, choice, one = torch.zeros(2, 0), torch.zeros(2, 2, dtype=torch.int64), torch.ones(2, 1)
    next_mask = torch.tensor([[True, True, True, True, False]] * 2)
    rows = PolicyInput((torch.zeros(2, 1),), next_mask, none)
    output = PolicyOutput(Actions(none, choice), torch.zeros(2, 2), torch.zeros(2), none)
    nothing, never = torch.zeros(2), torch.zeros(2, dtype=torch.bool)
    batch = Transition(
        Experience(rows, output, nothing, nothing.long(), nothing, never, never),
        rows, one, torch.tensor([[0.5], [0.0]]), never,
    )  # fmt: skip
    # 1 + .5 * 20 and 1 + .5 * 40, for 50 is forbidden; where the episode ended, the reward alone
    assert q_learner.td_target(batch).tolist() == [[11, 21], [1, 1]]
    # its choices 0 are worth 1 and 3: the mean of |11 - 1|, |21 - 3|, |1 - 1| and |1 - 3|, each less a half above 1
    told = q_learner.update(batch)
    assert told["Losses/Value Loss"] == pytest.approx((9.5 + 17.5 + 0 + 1.5) / 4)
    assert told["Policy/Value Estimate"] == pytest.approx(2.0)


@pytest.mark.parametrize("epsilon", [0.0, 1.0])
def test_the_q_learner_never_takes_a_forbidden_choice(q_learner, epsilon):
    mask = torch.tensor([[True, False, True, True, False]] * 200)
    q_learner.policy.epsilon = epsilon
    choice = q_learner.policy.act(PolicyInput((torch.zeros(200, 1),), mask, torch.zeros(200, 0))).action.discrete
    assert choice[:, 0].unique().tolist() == [0]
    assert choice[:, 1].unique().tolist() == ([0, 1] if epsilon else [1])


def test_a_drift_of_zero_is_ppo_as_it_was(capsys):
    write("my-trainer", Path(), kind="ppo")
    config = Path("my-trainer/my_trainer/my_trainer.yaml").read_text(encoding="utf-8")
    config = re.sub("max_steps: .*", "max_steps: 600", config).replace("drift: 0.1", "drift: 0.0")
    Path("mine.yaml").write_text(config)
    Path("ppo.yaml").write_text(config.replace("my-trainer\n", "ppo\n").replace("      drift: 0.0\n", ""))
    weights = []
    for name in ("mine", "ppo"):
        arguments = ["--plugin", "my-trainer/my_trainer/my_trainer.py", "--env", "builtin:Basic", "--seed", "1"]
        assert learn([f"{name}.yaml", *arguments, "--run-id", name]) == 0
        saved = torch.load(f"results/{name}/Basic/checkpoint.pt", weights_only=True)
        weights.append(saved["Policy"])
    assert all(torch.allclose(mine, weights[1][key], atol=1e-4) for key, mine in weights[0].items())


def test_nothing_of_the_template_is_left(package):
    text = "".join(file.read_text(encoding="utf-8") for file in package.parent.rglob("*") if file.is_file())
    assert not re.search("the-name|the_name|TheName|the_setting", text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["gentle", "my-trainer", "mytrainer", "soft-actor_2", "trainer", "the-name"])
def test_a_file_and_its_yaml_call_the_trainer_the_same(name, kind):
    package = Path(name) / Names(name).package
    write(name, Path(), kind=kind)
    file = str(package / f"{package.name}.py")
    assert Catalog([file]).find(name).origin == file
    assert f"trainer_type: {name}\n" in (package / f"{package.name}.yaml").read_text(encoding="utf-8")


def test_installed_it_is_found_by_its_entry_point():
    write("my-trainer", Path(), kind="on-policy")
    lay_out(Path("my-trainer"))
    assert installed("-c", PROGRAM) == "my-trainer 0.1.0 MyTrainer\n"


def test_installed_by_pip_it_is_found_and_has_its_yaml():
    pytest.importorskip("pip")
    pytest.importorskip("hatchling")
    write("my-trainer", Path(), kind="on-policy")
    installed("-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check",
              "--target", "site", "./my-trainer")  # fmt: skip
    assert installed("-c", PROGRAM) == "my-trainer 0.1.0 MyTrainer\n"
    assert Path("site/my_trainer/my_trainer.yaml").is_file()


@pytest.mark.parametrize(
    ("kind", "tests"), [("on-policy", ""), ("off-policy", "not promises"), ("ppo", "not promises")]
)  # the conformance kit takes its time, so once is enough
def test_its_own_tests_pass(kind, tests):
    write("my-trainer", Path(), kind=kind)
    lay_out(Path("my-trainer"))
    installed("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-k", tests, "my-trainer/tests")


def test_the_templates_are_in_the_wheel(tmp_path):
    wheel = pytest.importorskip("hatchling.builders.wheel")
    from zipfile import ZipFile

    (built,) = wheel.WheelBuilder(str(ROOT / "ml-agents")).build(directory=str(tmp_path), versions=["standard"])
    names = {Path(name).relative_to("mlagents/plugins/templates").as_posix() for name in ZipFile(built).namelist()
             if name.startswith("mlagents/plugins/templates/")}  # fmt: skip
    assert names == templates()


def templates():
    return {
        file.relative_to(TEMPLATES).as_posix()
        for file in TEMPLATES.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("MyTrainer", "'MyTrainer': a trainer's name is made of small letters"),
        ("my trainer", "made of small letters, digits, - and _"),
        ("../up", "made of small letters"),
        ("3d", "begins with a letter"),
        ("my-", "ends with a letter or digit"),
        ("größe", "made of small letters"),
        ("", "made of small letters"),
        ("class", "'class': no package can be called as a word of Python; try 'class-trainer'"),
        ("ppo", "'ppo': there is a trainer 'ppo' already; choose another name"),
        ("sac", "there is a trainer 'sac' already"),
        ("json", "'json': there is a module 'json' already; try 'json-trainer'"),
        ("torch", "there is a module 'torch' already"),
        ("tests", "there is a module 'tests' already"),
        ("on-policy", "'on-policy': its class would be OnPolicyTrainer, which is another's; choose another name"),
    ],
)
def test_a_name_that_cannot_be_is_refused_in_a_sentence(name, sentence, capsys):
    assert main(["new", "--", name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line
    assert not any(Path().iterdir())


def test_a_name_that_differs_only_in_its_dashes_is_taken():
    with pytest.raises(NewPluginError, match="there is a trainer 'my-trainer' already"):
        check_name("my_trainer", ["ppo", "my-trainer"])


@pytest.mark.parametrize("there", ["a folder", "a file"])
def test_what_is_there_is_not_overwritten(there, capsys):
    kept = Path("my-trainer/notes") if there == "a folder" else Path("my-trainer")
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    assert main(["new", "my-trainer"]) == 2
    assert "my-trainer: there is something already" in capsys.readouterr().err
    assert kept.read_text() == "mine"
    assert len(list(Path().rglob("*"))) == (2 if there == "a folder" else 1)


def test_an_empty_folder_is_filled():
    Path("my-trainer").mkdir()
    assert main(["new", "my-trainer"]) == 0
    assert Path("my-trainer/pyproject.toml").is_file()


def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(capsys):
    Path("file").write_text("")
    assert main(["new", "my-trainer", "--folder", "file"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be written" in line
    assert "--folder" in line


def test_a_kind_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["new", "my-trainer", "--from", "sac"])
    assert ended.value.code == 2
    assert "on-policy" in capsys.readouterr().err

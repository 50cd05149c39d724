"""Documentation cannot rot: what it names exists, what it tells people to type parses, and what it tells them to change works."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer.core
import typer.main
from typer.testing import CliRunner

from gateway import verifier
from gateway.checkup import check_mappings
from gateway.cli.main import app
from gateway.cli.screen import ExitCode
from gateway.clock import SystemClock
from gateway.config import ExchangeSettings
from gateway.delivery.ticks import CatchUp
from gateway.mapping.problems import CODES
from gateway.mapping.rules import RULES
from gateway.mappings import Mappings
from gateway.package.certificates import load_certificates, load_private_key
from gateway.package.cms import Signer
from gateway.package.trust import vouched_by
from gateway.store.states import State

ROOT = Path(__file__).parent.parent
ENGLISH, CHINESE, MAPPINGS, CERTS = "README.md", "README.zh-CN.md", "mappings/README.md", "certs/README.md"
PAGES = (ENGLISH, CHINESE, MAPPINGS, CERTS, "tests/README.md", "CHANGELOG.md")
BOTH = (ENGLISH, CHINESE)

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CALL = re.compile(r"(?:^|\s)(?:\S*/)?gateway (\S.*)$")
MARK = re.compile(r"^<!-- (excerpt|change|file): (\S+) -->$", re.MULTILINE)
PATH = re.compile(r"(?:gateway|mappings|tests)/[\w./-]+\.\w+")


@dataclass(frozen=True, slots=True)
class Section:
    """One heading and what stands below it, up to the next."""

    level: int
    title: str
    text: str


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def prose(name: str) -> str:
    """The page without its code blocks."""
    return FENCE.sub("", page(name))


def sections(name: str) -> list[Section]:
    found: list[Section] = []
    fenced = False
    for line in page(name).splitlines():
        fenced ^= line.startswith("```")
        if (heading := re.match(r"(#+) (.+)", line)) and not fenced:
            found.append(Section(len(heading[1]), heading[2], ""))
        elif found:
            found[-1] = Section(found[-1].level, found[-1].title, f"{found[-1].text}{line}\n")
    return found


def rows(text: str) -> list[list[str]]:
    """The rows of a table, without its heading."""
    table = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def section(name: str, title: str) -> Section:
    return next(one for one in sections(name) if one.title == title)


def first_spans(name: str, title: str) -> list[str]:
    """What stands in code in the first column of a section's table."""
    return [span for row in rows(section(name, title).text) for span in SPAN.findall(row[0])]


def commands() -> Iterator[tuple[str, Any]]:
    """Every command of the program by the words that call it."""
    waiting = [("", typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop()
        if isinstance(command, typer.core.TyperGroup):
            waiting += [(f"{words} {verb}".strip(), each) for verb, each in command.commands.items()]
        else:
            yield words, command


def calls(name: str, program: re.Pattern[str] = CALL) -> list[str]:
    """What the page calls the program with, in code blocks and in running text."""
    blocks = [code.replace("\\\n", " ") for _, code in FENCE.findall(page(name))]
    lines = [line for code in blocks for line in code.splitlines()] + SPAN.findall(prose(name))
    found = [match[1] for line in lines if (match := program.search(line))]
    return [re.split(r" #| [>|]|&&|；", call)[0].strip() for call in found]


def anchor(title: str) -> str:
    """A heading's address in the page, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", BOTH)
def test_every_command_is_in_both_readmes(name: str) -> None:
    text = page(name)
    missing = [words for words, _ in commands() if not re.search(rf"`gateway {words}(?![\w-])", text)]
    assert not missing, f"{name} does not name: {missing}"


@pytest.mark.parametrize("name", PAGES)
def test_command_lines_parse(name: str) -> None:
    known = dict(commands())
    for call in calls(name):
        tokens = shlex.split(call)
        words = next((name for count in (3, 2) if (name := " ".join(tokens[:count])) in known), tokens[0])
        rest = tokens[len(words.split()) :]
        if not rest and any(each == words or each.startswith(f"{words} ") for each in known):
            continue  # the command is only named
        assert words in known, f"{name}: there is no command in `gateway {call}`"
        try:
            known[words].make_context(words, rest)
        except Exception as error:
            pytest.fail(f"{name}: `gateway {call}` does not parse: {error}")


@pytest.mark.parametrize("name", BOTH)
def test_the_verifier_is_called_as_it_wants(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        verifier.main(["--help"])
    known = capsys.readouterr().out
    called = calls(name, re.compile(r"(?:^|\s|/)gateway-verify (\S.*)$"))
    assert any("--held" in call for call in called)
    assert any("--expect-checkpoint" in call for call in called)
    for call in called:
        assert "--key" in call or "--policy" in call
        assert all(option in known for option in re.findall(r"--[\w-]+", call)), call


@pytest.mark.parametrize("name", PAGES)
def test_links_and_paths_lead_somewhere(name: str) -> None:
    here = (ROOT / name).parent
    anchors = {anchor(one.title) for one in sections(name)}
    for link in LINK.findall(prose(name)):
        target, _, place = link.partition("#")
        if target.startswith("https://"):
            continue
        assert (here / target).exists() if target else place in anchors, f"{name}: {link}"
    named = [path for span in SPAN.findall(prose(name)) for path in PATH.findall(span) if path == span]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_both_readmes_are_built_alike() -> None:
    def shape(name: str) -> list[tuple[int, int, int, int]]:
        return [
            (
                one.level,
                len(FENCE.findall(one.text)),
                len(rows(one.text)),
                len(re.findall(r"^(?:- |\d\. )", FENCE.sub("", one.text), re.MULTILINE)),
            )
            for one in sections(name)
        ]

    pairs = zip(sections(ENGLISH), shape(ENGLISH), sections(CHINESE), shape(CHINESE), strict=True)
    different = [(one.title, other.title, ours, theirs) for one, ours, other, theirs in pairs if ours != theirs]
    assert not different, "level, code blocks, table rows and list items differ"


@pytest.mark.parametrize(("name", "title"), [(ENGLISH, "Exit codes"), (CHINESE, "退出码")])
def test_exit_codes_are_those_of_the_program(name: str, title: str) -> None:
    assert [int(row[0]) for row in rows(section(name, title).text)] == [code.value for code in ExitCode]


@pytest.mark.parametrize(
    ("name", "title"), [(ENGLISH, "When a batch does not get through"), (CHINESE, "批次送不出去时")]
)
def test_batch_states_are_those_of_the_journal(name: str, title: str) -> None:
    assert sorted(first_spans(name, title)) == sorted(State)


@pytest.mark.parametrize(("name", "title"), [(ENGLISH, "Schedules"), (CHINESE, "定时运行")])
def test_schedules_are_told_as_they_are_read(name: str, title: str) -> None:
    assert first_spans(name, title) == list(CatchUp)
    [(_, block)] = FENCE.findall(section(name, title).text)
    (told,) = tomllib.loads(block)["exchanges"].values()
    parts = {"catalog": "c", "source": "s", "format": "f", "peer": "p"}
    assert ExchangeSettings.model_validate(parts | told).schedule is not None


def test_the_rules_told_are_the_closed_list() -> None:
    table = rows(section(MAPPINGS, "规则 · Rules").text)
    told = {row[0].strip("`"): set(SPAN.findall(row[1])) for row in table}
    assert sorted(told) == sorted(RULES)
    for name, kind in RULES.items():
        assert set(kind.parameters) <= told[name], f"{name} has parameters that are not told"
        choices = {choice for parameter in kind.parameters.values() for choice in parameter.choices}
        assert told[name] - set(kind.parameters) <= choices, f"{name} is told with parameters that it has not"


def test_the_problem_codes_told_are_all_there_are() -> None:
    told = first_spans(MAPPINGS, "问题代码 · Problem codes")
    assert sorted(told) == sorted(CODES)


def marked(kind: str) -> list[tuple[str, list[str]]]:
    """The marked passages of a kind: the file each speaks of, and the code blocks up to the next heading or mark."""
    text = page(MAPPINGS)
    found = []
    for mark in MARK.finditer(text):
        rest = re.split(r"^(?:#+ |<!-- )", text[mark.end() :], maxsplit=1, flags=re.MULTILINE)[0]
        if mark[1] == kind:
            found.append((mark[2], [code for _, code in FENCE.findall(rest)]))
    return found


def test_every_folder_of_tests_is_described() -> None:
    told = first_spans("tests/README.md", "What each folder holds")
    assert sorted(told) == sorted(f"{file.parent.name}/" for file in (ROOT / "tests").glob("*/__init__.py"))


def test_excerpts_are_real() -> None:
    excerpts = marked("excerpt")
    assert len(excerpts) > 3
    for file, blocks in excerpts:
        assert blocks[0] in page(f"mappings/{file}"), f"the excerpt of {file} is not in it"


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the mappings after every change that the page describes, in its order."""
    folder = tmp_path_factory.mktemp("changed") / "mappings"
    shutil.copytree(ROOT / "mappings", folder)
    changes = marked("change")
    assert len(changes) > 5
    for file, (before, after, *_) in changes:
        path = folder / file
        text = path.read_text("utf-8")
        assert text.count(before) == 1, f"{file} must hold exactly once: {before}"
        path.write_text(text.replace(before, after), "utf-8")
    return folder


def row_of_the_page(**changes: object) -> Mapping[str, object]:
    [(_, blocks)] = marked("file")
    row: dict[str, object] = json.loads(blocks[0])
    return {**row, **changes}


def tried(folder: Path, row: Mapping[str, object], file: Path) -> tuple[int, dict[str, Any]]:
    """``gateway mapping try`` as the page calls it: exit code and what it says."""
    file.write_text(json.dumps(row, ensure_ascii=False), "utf-8")
    words = ["mapping", "try", "permits-local", "--row", str(file), "--mappings", str(folder)]
    result = CliRunner().invoke(app, [*words, "--format", "credit-2018", "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_the_changes_described_leave_the_mappings_in_order(changed: Path) -> None:
    mappings = Mappings(changed, "Asia/Shanghai")
    assert check_mappings(mappings) == []
    working_days = mappings.library.working_days
    assert working_days.is_working(date(2027, 2, 20))
    assert not working_days.is_working(date(2027, 1, 1))
    assert mappings.format("credit-2018").version == "2"


def test_the_row_described_can_be_reported_after_the_changes(changed: Path, tmp_path: Path) -> None:
    code, story = tried(changed, row_of_the_page(), tmp_path / "row.json")
    assert code == ExitCode.DONE, story
    values = {field["field"]: field["value"] for field in story["fields"]}
    assert (values["license_kind"], values["matter_code"]) == ("备案", "000123")
    assert f"“这一行可以报送，记录键：{story['key']}”" in page(MAPPINGS)


def test_the_code_that_was_ended_is_refused_from_its_day_on(changed: Path, tmp_path: Path) -> None:
    for decided, expected in (("2026-07-06", ExitCode.FOUND), ("2026-06-30", ExitCode.DONE)):
        row = row_of_the_page(XK_TYPE="登记", JD_DATE=decided)
        code, story = tried(changed, row, tmp_path / "row.json")
        assert code == expected
        told = [problem["code"] for field in story["fields"] for problem in field["problems"]]
        assert told == ([] if expected is ExitCode.DONE else ["code-not-in-force"])


def test_certificates_made_as_described_are_good(tmp_path: Path) -> None:
    scripts = [code for _, code in FENCE.findall(page(CERTS)) if "openssl genpkey" in code]
    own, authority = scripts
    for script in (authority, own):
        subprocess.run(["bash", "-euc", script], cwd=tmp_path, check=True, capture_output=True)
    now = SystemClock().now()
    trusted = load_certificates(tmp_path / "ca.crt")
    for purpose in ("signing", "tls"):
        key = load_private_key(tmp_path / f"{purpose}.key")
        (certificate,) = load_certificates(tmp_path / f"{purpose}.crt")
        signer = Signer(key=key, certificate=certificate)
        assert vouched_by(signer.certificate, trusted, at=now) == trusted[0]

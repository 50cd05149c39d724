"""``gateway mapping check | explain | try | write``: what mappings and formats say, and what they make of one row. No journal is needed."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.markup import escape

from gateway.checkup import check_mappings
from gateway.cli.options import CONFIG, AsJson, Config
from gateway.cli.screen import ExitCode, findings_table, language, print_json, say, screen, table
from gateway.cli.setup import findings_json
from gateway.config import inspect_settings
from gateway.errors import ConfigError, Findings, MappingError, Severity
from gateway.mapping.batch_facts import SOME_BATCH
from gateway.mapping.fields_plan import FieldsPlan
from gateway.mapping.format_model import Format
from gateway.mapping.format_table import FormatRow, explain_format
from gateway.mapping.headings import heading_key
from gateway.mapping.json_model import JsonFormat, JsonTemplate
from gateway.mapping.plan import RecordPlan
from gateway.mapping.problems import class_text, problem_fix, problem_text
from gateway.mapping.render_sheet import SheetPlan
from gateway.mapping.sheet_model import SheetFormat, SheetTemplate
from gateway.mapping.table_model import TableFormat, TableTemplate
from gateway.mapping.trial import FieldStory, RowStory, try_row
from gateway.mappings import Mappings

__all__ = ["Folder", "app", "mappings_of"]

app = typer.Typer(no_args_is_help=True)
Folder = Annotated[Path | None, typer.Option("--mappings", help=say("mapping-folder"))]
_ZONE = "Asia/Shanghai"


def mappings_of(config: Path, folder: Path | None) -> Mappings:
    """The mappings folder named, or else that of the configuration, whatever else may be wrong with it."""
    if folder is not None:
        return Mappings(folder, _ZONE)
    settings, findings = inspect_settings(config)
    if settings is None:
        raise Findings(findings)
    return Mappings(settings.mappings_dir, settings.node.time_zone.key)


@app.command("check", help=say("help-mapping-check"))
def _check(config: Config = CONFIG, folder: Folder = None, as_json: AsJson = False) -> None:
    mappings = mappings_of(config, folder)
    findings = check_mappings(mappings)
    errors = sum(1 for finding in findings if finding.severity is Severity.ERROR)
    if as_json:
        print_json(findings_json(findings))
    else:
        findings_table(findings)
        screen().print(say("findings", errors=errors, total=len(findings)) if findings else say("mapping-clean"))
    if errors:
        raise typer.Exit(ExitCode.FOUND)


@app.command("explain", help=say("help-mapping-explain"))
def _explain(
    name: Annotated[str, typer.Argument(metavar="FORMAT", help=say("mapping-format"))],
    config: Config = CONFIG,
    folder: Folder = None,
    catalog: Annotated[str | None, typer.Option(help=say("mapping-catalog"))] = None,
    as_json: AsJson = False,
) -> None:
    mappings = mappings_of(config, folder)
    fmt = mappings.any_format(name)
    if not isinstance(fmt, Format):
        _explain_columns(fmt, mappings, catalog, as_json)
        return
    chosen = [mappings.catalog(catalog)] if catalog else [mappings.catalog(one) for one in fmt.bindings]
    tables = {one.id: explain_format(fmt, one, language()) for one in chosen}
    if as_json:
        print_json({one: [asdict(row) for row in rows] for one, rows in tables.items()})
        return
    for one in chosen:
        screen().print(
            f"[bold]{escape(fmt.zh if language() == 'zh-CN' else fmt.en)}[/]  {fmt.id} {fmt.version}  {one.id}"
        )
        headings = ("target", "label", "field", "shape", "rule", "required", "why")
        table(
            [say(f"heading-{heading}") for heading in headings],
            [
                [row.target, row.label, row.field, row.shape, row.rules, row.demanded, _why(row)]
                for row in tables[one.id]
            ],
        )
        for fact in fmt.facts:
            mark = f"[{say('profile')}] " if fact.profile else ""
            screen().print(escape(f"{mark}{fact.zh if language() == 'zh-CN' else fact.en}"))


def _explain_columns(
    fmt: SheetFormat | JsonFormat | TableFormat, mappings: Mappings, catalog: str | None, as_json: bool
) -> None:
    """The templates of a format of sheets, of JSON or of tables, place by place in their order."""
    templates: tuple[SheetTemplate | JsonTemplate | TableTemplate, ...] = fmt.templates
    chosen = [template for template in templates if catalog in {None, template.catalog}]
    if as_json:
        print_json({template.id: asdict(template) for template in chosen})
        return
    chinese = language() == "zh-CN"
    for template in chosen:
        shown = f"{template.id} → {template.table}" if isinstance(template, TableTemplate) else template.id
        screen().print(f"[bold]{escape(fmt.zh if chinese else fmt.en)}[/]  {fmt.id} {fmt.version}  {escape(shown)}")
        fields = {field.name: field for field in mappings.catalog(template.catalog).fields}
        rows = []
        columns = [leaf.column for leaf in template.leaves] if isinstance(template, JsonTemplate) else template.columns
        for number, column in enumerate(columns, start=1):
            field = fields.get(column.field or "")
            label = "" if field is None else field.zh if chinese else field.en
            rules = "；".join(rule.name for rule in column.rules)
            source = column.field or column.batch or ""
            why = f"{column.why} [{say('profile')}]".strip() if column.profile else column.why
            rows.append([number, column.heading, label, source, rules, column.when_empty.value, why])
        headings = ("index", "target", "label", "field", "rule", "empty", "why")
        table([say(f"heading-{heading}") for heading in headings], rows)
    for fact in fmt.facts:
        mark = f"[{say('profile')}] " if fact.profile else ""
        screen().print(escape(f"{mark}{fact.zh if chinese else fact.en}"))


def _why(row: FormatRow) -> str:
    return f"{row.why} [{say('profile')}]".strip() if row.profile else row.why


@app.command("try", help=say("help-mapping-try"))
def _try(
    name: Annotated[str, typer.Argument(metavar="MAPPING", help=say("mapping-source"))],
    row: Annotated[Path, typer.Option("--row", help=say("mapping-row"))],
    config: Config = CONFIG,
    folder: Folder = None,
    fmt: Annotated[str | None, typer.Option("--format", help=say("mapping-format"))] = None,
    as_json: AsJson = False,
) -> None:
    mappings = mappings_of(config, folder)
    plan = mappings.record_plan(name)
    frame, missing = _completed(_one_row(row), plan)
    story = try_row(plan, frame)
    problems: list[str] = []
    if fmt is not None and story.good:
        problems = _rendered(mappings, fmt, plan, frame)
    if as_json:
        print_json({**asdict(story), "format_problems": problems})
    else:
        if missing:
            screen().print(say("try-missing", columns="、".join(missing)))
        _show(story, plan, problems)
    if not story.good or problems:
        raise typer.Exit(ExitCode.FOUND)


def _one_row(file: Path) -> pl.DataFrame:
    """A row from a JSON object, or from a CSV file with one heading and one row. Raises ConfigError ``row-unreadable``."""
    try:
        text = file.read_text("utf-8-sig")
        read = json.loads(text) if file.suffix == ".json" else next(csv.DictReader(text.splitlines()))
        frame = pl.DataFrame([read], infer_schema_length=1)
    except (OSError, ValueError, StopIteration, pl.exceptions.PolarsError) as error:
        raise ConfigError("row-unreadable", file=str(file)) from error
    return frame.with_columns(pl.lit(file.name).alias("@row"))


def _completed(frame: pl.DataFrame, plan: RecordPlan) -> tuple[pl.DataFrame, list[str]]:
    """The row with every column that the mapping reads: one that was left out (as JSON rows do) is empty."""
    given = {heading_key(name) for name in frame.columns}
    missing = [name for name in plan.fields_by_column() if heading_key(name) not in given]
    return frame.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in missing), missing


def _rendered(mappings: Mappings, name: str, plan: RecordPlan, frame: pl.DataFrame) -> list[str]:
    """What the format has against the row."""
    records = plan.map(frame).records
    fmt = mappings.any_format(name)
    if isinstance(fmt, TableFormat):
        rows = FieldsPlan(fmt, plan.catalog, mappings.library, _ZONE).render(records, SOME_BATCH)
        problems = rows.problems.to_dicts()
    elif isinstance(fmt, SheetFormat):
        sheets = [SheetPlan(fmt, one, mappings.library) for one in fmt.templates if one.catalog == plan.catalog.id]
        if not sheets:
            raise MappingError("format-without-catalog", format=name, catalog=plan.catalog.id)
        problems = [problem for one in sheets for problem in one.render(records, SOME_BATCH).problems.to_dicts()]
    elif isinstance(fmt, JsonFormat):
        plans = mappings.json_plans(name, plan.catalog)
        problems = [problem for one in plans for problem in one.documents(records, SOME_BATCH).problems.to_dicts()]
    else:
        document = mappings.document_plan(name, plan.catalog)
        problems = document.documents(records, SOME_BATCH).problems.to_dicts()
    return [problem_text(problem, plan.catalog, language()) for problem in problems]


def _steps(field: FieldStory) -> str:
    """The rules that changed something, and what they made of the value."""
    changed = []
    before: str | None = None
    for step in field.steps:
        if step.value != (before or ""):
            changed.append(f"{step.rule}: {_told(step.value, masked=field.masked)}")
        before = step.value
    return " → ".join(changed)


def _told(value: str, *, masked: bool) -> str:
    return class_text(value, language()) if masked and value else value


def _show(story: RowStory, plan: RecordPlan, problems: list[str]) -> None:
    out = screen()
    rows = []
    for field in story.fields:
        label = field.zh if language() == "zh-CN" else field.en
        mark = "✗" if any(problem["weight"] == "reject" for problem in field.problems) else ""
        local = class_text(field.local, language())
        rows.append([mark, label, field.source, local, _steps(field), _told(field.value, masked=field.masked)])
    headings = (
        "",
        say("heading-label"),
        say("heading-column"),
        say("heading-local"),
        say("heading-steps"),
        say("heading-value"),
    )
    table(headings, rows)
    told = [problem for field in story.fields for problem in field.problems] + list(story.problems)
    for problem in told:
        colour = "red" if problem["weight"] == "reject" else "yellow"
        out.print(f"[{colour}]{escape(problem_text(problem, plan.catalog, language()))}[/]  [dim]{problem['code']}[/]")
        if fix := problem_fix(problem, plan.catalog, language()):
            out.print(f"  [dim]→[/] {escape(fix)}")
    for sentence in problems:
        out.print(f"[red]{escape(sentence)}[/]")
    out.print(say("try-good", key=story.key) if story.good and not problems else say("try-bad"))

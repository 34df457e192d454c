"""`governor policy`: test, check, bundle and backtest the rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governor.cli.session import Session, session_of
from governor.cli.tables import cell, results, table
from governor.errors import Invalid
from governor.store.whole_file import write_whole

if TYPE_CHECKING:
    from governor.policy.bundle import Bundle
    from governor.policy.check import Problem
    from governor.policy.runner import SuiteReport

app = typer.Typer(
    help="The rules: test, check, bundle for an OPA server, and what another bundle would have decided.", no_args_is_help=True
)

BundleDirectory = Annotated[
    Path | None,
    typer.Option("--bundle", help="A directory shaped like the shipped policies; default: the rules in force.", show_default=False),
]


@app.command("test")
def run_suite(
    ctx: typer.Context,
    bundle: BundleDirectory = None,
    run: Annotated[str, typer.Option("--run", help="Only tests whose `package.name` contains this text.")] = "",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every test and every missed line.")] = False,
    threshold: Annotated[float, typer.Option("--threshold", min=0, max=100, help="Fail below this line coverage, in percent.")] = 0,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="Stop after this time.")] = 120,
) -> None:
    """Run the `test_` rules with line coverage; exit 1 when one fails.

    `governor policy test --verbose` shows every test and the lines none of them reached.
    """
    from governor.policy.sandbox import run_tests_confined

    session = session_of(ctx)
    report = run_tests_confined(chosen(session, bundle), run, seconds=seconds)
    session.print(report.document(), lambda _: show_tests(report, verbose=verbose))
    if not report.passed or report.covered_percent < threshold:
        raise typer.Exit(1)


def chosen(session: Session, directory: Path | None) -> Bundle:
    """Those of the directory that was named, else the rules in force."""
    from governor.policy.bundle import load_bundle

    return load_bundle(directory or session.settings().own_policies)


def show_tests(report: SuiteReport, *, verbose: bool) -> None:
    for one in report.results:
        if verbose or one.outcome != "pass":
            typer.echo(f"{one.outcome.upper():5} {one.file} {one.name}" + (f": {one.detail}" if one.detail else ""))
    if verbose:
        for file in report.coverage:
            missed = f", not reached: {', '.join(map(str, file.missed))}" if file.missed else ""
            typer.echo(f"{file.percent:5.1f}% {file.file}{missed}")
    counts = ", ".join(f"{report.count(outcome)} {outcome}" for outcome in ("pass", "fail", "error", "todo"))
    typer.echo(f"{counts}; {report.covered_percent:.1f}% of lines covered")
    if not report.results:
        typer.echo("no test was found: rules without tests do not pass")


@app.command("check")
def check(
    ctx: typer.Context,
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Rego files, or one directory shaped like the shipped policies.", show_default=False)
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="Stop after this time.")] = 20,
) -> None:
    """Check rules without running them: unknown functions, clocks and network, missing METADATA, defaults and tests; exit 1 on an error.

    `governor policy check my_rule.rego` checks one file against the shipped library; without a path the rules in force are checked.
    """
    session = session_of(ctx)
    problems = check_paths(session, paths or [], seconds)
    session.print([vars(one) for one in problems], lambda _: show_problems(problems))
    if any(one.severity == "error" for one in problems):
        raise typer.Exit(1)


def check_paths(session: Session, paths: list[Path], seconds: float) -> list[Problem]:
    from governor.policy.sandbox import check_confined

    if not paths or (len(paths) == 1 and paths[0].is_dir()):
        bundle = chosen(session, paths[0] if paths else None)
        return check_confined({**bundle.modules, **bundle.tests}, tests=list(bundle.tests), seconds=seconds)
    modules = {}
    for path in paths:
        try:
            modules[str(path)] = path.read_bytes().decode()
        except OSError as error:
            raise Invalid(f"{path}: {error.strerror or 'cannot be read'}") from None
        except UnicodeDecodeError:
            raise Invalid(f"{path}: not UTF-8") from None
    known = {
        name: source for name, source in chosen(session, None).modules.items() if not any(path.name == Path(name).name for path in paths)
    }
    return check_confined(modules, known=known, seconds=seconds)


def show_problems(problems: list[Problem]) -> None:
    for one in problems:
        typer.echo(f"{one.severity}: {one.file}:{one.line}: {one.message} [{one.code}]")
    errors = sum(1 for one in problems if one.severity == "error")
    typer.echo(f"{errors} errors, {len(problems) - errors} warnings")


@app.command("bundle")
def bundle(
    ctx: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the tar.gz.")],
    directory: BundleDirectory = None,
    catalog: Annotated[bool, typer.Option("--catalog", help="Put today's catalog of the home in as data.catalog.")] = False,
) -> None:
    """Write the OPA bundle (tar.gz) of the rules; the same rules and catalog give the same bytes.

    `governor policy bundle -o governor.tar.gz --catalog` is what an OPA server beside a gateway needs to decide as Governor does.
    """
    from governor.policy.bundle import archive

    session = session_of(ctx)
    rules = chosen(session, directory)
    data = None
    if catalog:
        from governor.actions.load_catalog import catalog_as_of
        from governor.policy.catalog_data import catalog_data

        data = catalog_data(catalog_as_of(session.context()))
    body = archive(rules, data)
    write_whole(output, body)
    result = {"path": str(output), "bytes": len(body), "revision": rules.revision, "catalog": catalog}
    session.print(result, f"wrote {output} ({len(body):,} bytes), revision {rules.revision[:16]}")


@app.command("copy")
def copy(
    ctx: typer.Context,
    directory: Annotated[Path, typer.Argument(help="A new or empty directory.", show_default=False)],
) -> None:
    """Write the shipped rules, their tests and tables into a directory, to change them or add your own.

    `governor policy copy ./policies`, change it, `governor policy test --bundle ./policies`, then GOVERNOR_POLICIES=./policies puts it in force.
    """
    from governor.policy.bundle import copy_shipped

    session = session_of(ctx)
    names = copy_shipped(directory)
    session.print({"path": str(directory), "files": names}, f"wrote {len(names)} files to {directory}; GOVERNOR_POLICIES puts it in force")


@app.command("backtest")
def backtest(
    ctx: typer.Context,
    period: Annotated[str, typer.Option("--period", help="Calendar month, YYYY-MM.", show_default=False)],
    directory: Annotated[
        Path, typer.Option("--bundle", help="The bundle to try: a directory shaped like the shipped policies.", show_default=False)
    ],
) -> None:
    """What another bundle would have decided on a past month: which calls flip, what they cost, which rules object.

    `governor policy backtest --period 2026-10 --bundle ./my-policies` changes nothing.
    """
    from governor.actions.backtest import backtest as run_backtest

    session = session_of(ctx)
    session.print(run_backtest(session.context(), period, directory), show_flips)


def show_flips(report: dict[str, Any]) -> None:
    if not report["calls"]:
        results().print(
            f"No calls in {report['period']}: nothing was decided then, so nothing can be decided otherwise. Look at another month."
        )
        return
    words = ("workflow", "model", "before", "after", "new objections", "gone")
    title = f"{report['flipped_calls']:,} of {report['calls']:,} calls of {report['period']} would be decided otherwise"
    made = table(words, ("calls", "USD"), title=title)
    for flip in report["flips"]:
        model = f"{flip['provider'] or '?'}/{flip['model'] or '?'}"
        rules = (", ".join(flip["gained"]) or "-", ", ".join(flip["lost"]) or "-")
        cells = (flip["workflow"], model, flip["before"], flip["after"], *rules)
        made.add_row(*map(cell, cells), f"{flip['calls']:,}", flip["contracted_cost"])
    results().print(made)

"""`lbproxy import`: a draft from the configuration of another proxy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from lbproxy.errors import MigrationError
from lbproxy.migrate import haproxy, nginx
from lbproxy.migrate.migration import Migration

_READERS: Mapping[str, Callable[[str, str], Migration]] = {"haproxy": haproxy.read, "nginx": nginx.read}

_LARGEST = 4 << 20


@click.command("import")
@click.argument("kind", type=click.Choice([*_READERS]))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Default: standard output.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def command(kind: str, file: Path, output: Path | None, force: bool) -> None:
    """Print a draft of lbproxy.toml made from FILE, of the proxy KIND.

    What the draft does not have is a comment at its beginning, "NOT CARRIED", with the line and what lbproxy does
    instead. Read it, then run `lbproxy check`. Nothing but FILE is read.
    """
    migration = _READERS[kind](_text(file), str(file))
    if not migration.pools or not migration.listeners:
        raise MigrationError(f"{file}: no listener with backends was found; is it the configuration of {kind}?")
    if output is None:
        click.echo(migration.toml(), nl=False)
        return
    try:
        with output.open("w" if force else "x", encoding="utf-8") as written:
            written.write(migration.toml())
    except FileExistsError:
        raise click.UsageError(f"{output} exists; --force replaces it") from None
    except OSError as error:
        raise click.FileError(str(output), error.strerror or "") from error
    click.echo(f"{output}: {len(migration.notes)} directives are not carried; lbproxy check -c {output}", err=True)


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise MigrationError(f"{file} is larger than {_LARGEST >> 20} MiB")
        return content.decode()
    except OSError as error:
        raise MigrationError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MigrationError(f"{file} is not UTF-8 at byte {error.start}") from error

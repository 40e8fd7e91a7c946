"""`python -m bench.profile`: load one proxy, and see where its CPU time goes."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path

import click

from bench.console import show
from bench.load.backends import Backends
from bench.load.certificate import Certificate
from bench.load.peers import PEERS, Peer
from bench.load.rounds import measure_round, serving, site_of, warm_up
from bench.load.run import check_machine, ports_of, programs
from bench.load.scenario import TABLE, Scenario
from bench.load.verify import verify
from bench.processes import allow_descriptors
from bench.profile.parts import parts
from bench.profile.perf import read, recording
from bench.profile.report import Profile, svg, table


def _new_file() -> Path:
    return Path("build/bench", f"profile-{datetime.now():%Y-%m-%d-%H%M%S}.svg")


@click.command()
@click.option("--scenario", type=click.Choice(list(TABLE)), default="browser", show_default=True)
@click.option("--peer", type=click.Choice(list(PEERS)), default="lbproxy", show_default=True, help="What is watched.")
@click.option("--seconds", type=click.IntRange(1), default=10, show_default=True, help="Of load that is watched.")
@click.option("--connections", type=click.IntRange(1), default=64, show_default=True, help="Of clients, at once.")
@click.option(
    "--svg",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    default=_new_file,
    help="The picture; build/bench/profile-TIME.svg unless given.",
)
def main(scenario: str, peer: str, seconds: int, connections: int, picture: Path) -> None:
    """Where the CPU time of a request goes: the kernel, by system call; the data path; Python; libc; TLS.

    bench/README.md says how it is done. Being root is needed, or kernel.perf_event_paranoid of at most 1.
    """
    profile = _profile(PEERS[peer], TABLE[scenario], seconds, connections)
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(svg(profile))
    show(f"{profile.title}: {profile.cpu_us:.1f} us of CPU time a request", table(profile))
    click.echo(f"saved: {picture}", err=True)


def _profile(peer: Peer, scenario: Scenario, seconds: int, connections: int) -> Profile:
    check_machine(["wrk", "perf", *programs([peer])])
    active = scenario.connections or connections
    allow_descriptors(4 * active + scenario.backends + 1000)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        certificate = Certificate.write(directory)
        with Backends(directory, scenario.backends, 3 * active + 1000, certificate) as backends:
            ports = ports_of(backends, scenario, peer.name)
            site = site_of(peer.name, scenario, active, ports, certificate, directory)
            with serving(peer, site) as running:
                verify(site)
                warm_up(running)
                with recording(running.child.pids(), directory / "perf.data"):
                    round_ = measure_round(running, seconds)
                found = read(directory / "perf.data")
    return Profile(f"{peer.version()}, {scenario.name} ({scenario.about})", round_.cpu_us, parts(found))


if __name__ == "__main__":
    main(prog_name="python -m bench.profile")

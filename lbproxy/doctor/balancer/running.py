"""What the running balancer says of itself, of its backends, and of the instances that differ."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.config import Config
from lbproxy.control.probes.kerberos.failures import Failure
from lbproxy.control.snapshot import BackendView, PoolView, Snapshot
from lbproxy.doctor.balancer.sight import Sight, remedy
from lbproxy.doctor.finding import Finding, Found, Outcome, UnseenError, ok, problem, unseen, warning
from lbproxy.runtime.trial import Trial, try_backends

WHY = "Users are served by what runs, and not by what the file says by now."
WHY_BACKENDS = "A backend that is out of rotation gets no users; the others carry its load."
WHY_CONSISTENCY = "Users notice the difference when they meet another instance."

_REMEDIES = {failure.label: remedy(failure) for failure in Failure}


async def state(sight: Sight) -> Found:
    """Of lbproxy as a whole."""
    snapshot = await sight.status()
    return list(_state(snapshot)) or [
        ok(f"lbproxy {snapshot['version']} is {snapshot['state']}, pid {snapshot['pid']}")
    ]


def _state(snapshot: Snapshot) -> Iterator[Finding]:
    if snapshot["state"] != "serving":
        yield warning(f"lbproxy is {snapshot['state']}", repair="lbproxy status")
    reload = snapshot["configuration"]["last_reload"]
    if reload is not None and not reload["ok"]:
        told = "; ".join(reload["problems"])
        yield problem(
            f"the last reload failed: {told}", repair="repair the file, then: lbproxy check && lbproxy reload"
        )
    for one in snapshot["tls_files"]:
        if one["refused"] is not None:
            yield problem(one["refused"]["why"], repair="replace the file; it is picked up", subject=one["where"])
    for listener in snapshot["listeners"]:
        shut_out = listener["shut_out"]
        if shut_out is not None:
            told = ", ".join(shut_out["authorities"])
            yield problem(
                f"no current revocation list of {told}: its users are refused",
                repair="fetch the list, and put it where client_crl says",
                subject=f"listener {listener['name']}",
            )
        if listener["accept_pauses"]:
            yield warning(
                f"accepting has stopped {listener['accept_pauses']} times for want of descriptors",
                repair="LimitNOFILE= in lbproxy's unit",
                subject=f"listener {listener['name']}",
            )


async def backends(sight: Sight) -> Found:
    """Each of them, as its probes see it; if lbproxy does not run, each of the file's is tried."""
    try:
        snapshot = await sight.status()
    except UnseenError:
        trials = await try_backends(_without_sign_ins(sight.config))
        listed = [_trial(f"{pool}/{name}", trial) for (pool, name), trial in trials.items()]
        return listed or [unseen("the file has no backends, and lbproxy does not run")]
    return [one for pool in snapshot["pools"] for one in _pool(pool)]


def _without_sign_ins(config: Config) -> Config:
    """Another check signs in: a wrong key counts against the account each time."""
    asked = {
        name: pool.model_copy(update={"check": pool.check.model_copy(update={"kind": "tcp"})})
        if pool.check.kind == "kerberos"
        else pool
        for name, pool in config.pools.items()
    }
    return config.model_copy(update={"pools": asked})


def _trial(subject: str, trial: Trial) -> Finding:
    tried = trial.probe if trial.connect.ok and trial.probe is not None else trial.connect
    if tried.ok:
        return ok(f"tried from here: {tried.detail}", subject)
    return problem(f"tried from here: {tried.detail}", repair="its own log; lbproxy check --connect", subject=subject)


def _pool(pool: PoolView) -> Iterator[Finding]:
    name = pool["name"]
    tickets = pool["tickets"]
    if tickets is not None and tickets["reason"] is not None:
        yield problem(
            f"{tickets['reason_text']} ({tickets['detail']})", repair=_remedy(tickets["reason"]), subject=f"pool {name}"
        )
    for source in pool["discovery"]:
        if source["error"] is not None:
            told = f"discovery {source['source']} fails: {source['error']}"
            yield warning(told, repair=f"look at {source['where']}", subject=f"pool {name}")
    for wanting, sentences in pool["refused"].items():
        for sentence in sentences:
            yield warning(
                f"{wanting} wants what cannot be had: {sentence}", repair="its source", subject=f"pool {name}"
            )
    outliers = pool["outliers"]
    for backend in pool["backends"]:
        subject = f"{name}/{backend['name']}"
        if backend["name"] in outliers:
            yield warning(", ".join(outliers[backend["name"]]), repair="its own log", subject=subject)
        yield _backend(backend, subject)
    if not pool["backends"]:
        yield problem("the pool has no backends", repair=f"lbproxy backend add {name}/NAME URL", subject=f"pool {name}")


def _backend(backend: BackendView, subject: str) -> Finding:
    if backend["draining"]:
        return warning("it is drained", repair=f"lbproxy ready {backend['name']}", subject=subject)
    if backend["in_rotation"] or backend["standby"]:
        probe = backend["probe"]
        return ok(f"in rotation, {probe['detail']}" if probe and backend["in_rotation"] else backend["state"], subject)
    outcome = Outcome.WARNING if backend["state"] == "new" else Outcome.PROBLEM
    told = ": ".join(filter(None, (backend["state"], backend["reason_text"] or "", backend["detail"])))
    failed = backend["probe"] and backend["probe"]["reason"]
    return Finding(outcome, told, repair=_remedy(failed), subject=subject)


def _remedy(reason: str | None) -> str:
    return _REMEDIES.get(reason or "", "") or "its own log; lbproxy status --wide"


async def consistency(sight: Sight) -> Found:
    """Instances that the guard found to differ."""
    snapshot = await sight.status()
    found = list(_differences(snapshot))
    if found:
        return found
    if all(pool["consistency"] is None for pool in snapshot["pools"]):
        return [
            warning(
                "no pool compares its instances",
                "An instance with another SERVER_URL, SESSION_SECRET or mapper is found by users.",
                "add [pool.NAME.consistency] (docs/consistency.md)",
            )
        ]
    return [ok("the instances are alike in all that is compared")]


def _differences(snapshot: Snapshot) -> Iterator[Finding]:
    for pool in snapshot["pools"]:
        guard = pool["consistency"]
        for difference in [] if guard is None else guard["differences"]:
            for name, told in difference["backends"].items():
                yield problem(
                    f"{difference['fact']}: {told}",
                    repair="on its host: lbproxy instance diff DIR PACK, then lbproxy instance apply",
                    subject=f"{pool['name']}/{name}",
                )
        for backend in pool["backends"]:
            for fact, why in backend["unknown_facts"].items():
                yield warning(f"{fact} cannot be read: {why}", subject=f"{pool['name']}/{backend['name']}")

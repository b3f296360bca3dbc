"""The names of the durable steps: every place of the program that leaves something behind, and how it is found.

A place is a function or method, named ``module.function`` below ``autoflex_pipeline``. ``places_in_code`` finds them by
reading the code, so a new one cannot be forgotten: it needs a line in ``STEPS``, and a scenario of the crash matrix
that comes by it, or a line in ``ELSEWHERE`` that says why not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import autoflex_pipeline

STEPS = {
    # Files that get made, and their schema.
    "state.store.StateStore.__init__": "folder of the stores",
    "state.store._create": "new state store: made aside, then linked to its name",
    "state.store.StateStore._ensure_schema": "migration of the state store",
    "warehouse.connection.Warehouse._lock": "folder and lock of the warehouse",
    "warehouse.connection.Warehouse._create": "new warehouse: made aside, then given its name",
    "warehouse.connection.Warehouse._attach": "opening of the warehouse: its log is read, or replayed",
    "warehouse.connection.Warehouse.open": "migration of the warehouse; every transaction's commit",
    "warehouse.connection.Warehouse._checkpoint": "log brought into the file, at the end of a run or for a backup",
    "state.locks._folder": "folder of the locks",
    "state.locks._opened": "mark that a run is going",
    "state.locks.dealer_lock": "lock of a dealer's delivery",
    # A run: what is asked, and what came.
    "runs.guards.newest_stored": "look at the latest moment in the state store, before anything else",
    "runs.guards._newest_extract": "look at the latest moment in the warehouse, before anything else",
    "sources.autoflex_api.client.HttpClient._exchange": "question to Autoflex, and its answer",
    "runs.context.RunContext.readable_dealers": "look at what went wrong so far",
    "runs.context.RunContext.note": "what went wrong for a dealer",
    "runs.context.RunContext.hold": "hold on a dealer whose DMS refuses the login, or its list of orders",
    "runs.asking._take_in": "hold lifted once the DMS answers",
    "runs.orders._crawl_hidden": "look at the orders seen before",
    "runs.orders._orders_to_ask_for": "look at the open orders that the list lacks",
    "runs.orders._another_known_order": "look for another order, before an absence is believed",
    "runs.orders.read_open_orders": "orders as they came, absences noted and confirmed",
    "runs.orders._remember_list": "digest of the list that was read",
    "runs.orders._staged_in": "look at the orders staged in the months",
    "runs.orders.read_months": "orders of a backfill as they came, and which months were read whole",
    "runs.parts.read_lines": "lines as they came",
    "runs.parts._reread_due": "look at when cars and parties were read",
    "runs.parts.read_relations": "parties as they came; when they were read",
    "runs.parts._read_parts": "cars and parties as they came",
    "runs.parts._known_lines": "look at the lines known",
    # Staging, comparing.
    "runs.steps.stage": "entities, their past, quarantine, documents: one transaction",
    "runs.steps._corrected_zones": "look at the time zones staged with",
    "runs.steps._want_publication": "mark: the analysts' copy is behind",
    "runs.accounts.check_accounts": "dealers whose records do not add up",
    "runs.accounts.unaccounted": "look at those dealers",
    "runs.retrying.retry_quarantined": "quarantined records put up for validation again",
    "runs.retrying._rejected": "look at the quarantine",
    "runs.retrying._deliver_soon": "dealers whose records are good again are due",
    "runs.steps._emptied_lists": "look at how many open orders were read",
    # Delivery.
    "claire.delivery._Delivery.run": "ledger copied into the warehouse",
    "claire.delivery._Delivery._plan": "ledger copied into the warehouse; history owed",
    "claire.delivery._Delivery._write_plan": "why documents do not go yet",
    "claire.delivery._Delivery._built": "look at the documents to send",
    "claire.delivery._Delivery._prepare": "intents, before their first request",
    "claire.client.ClaireConnection._exchanged": "document sent to Claire, and its answer",
    "claire.sending.Sender._write": "acknowledgements, attempts, refusals",
    "runs.after_restore.compare_restored": "look at whether a restore asks for more",
    "claire.delivery._Delivery._compared": "look at whether a restore asks for Claire to be read",
    "claire.delivery._Delivery._deliver": "look at whether Claire answered lately",
    "claire.delivery._Delivery._note_outage": "a Claire that does not answer is left alone for a while",
    "claire.delivery._Delivery._leave": "documents left pending when delivery stops",
    "claire.delivery._Delivery._preview": "what a dry run would send",
    "claire.delivery._Delivery._sum_up": "look at what is left",
    "runs.holding.hold_or_lift": "hold on a dealer placed, or lifted",
    # The end of a run, and the analysts' copy.
    "runs.closing.close_run": "summary, what is due next, the list to compare with",
    "runs.publishing.publish_when_due": "mark: the analysts' copy is made",
    "warehouse.publishing.publish": "folder of the analysts' copy; the moment that it shows",
    "warehouse.publishing._one_publication": "lock of the publication",
    "warehouse.publishing._prepare": "file of the next copy",
    "warehouse.publishing._seal": "next copy committed and written through",
    "warehouse.versions.release": "copy made read-only, named, linked",
    "warehouse.versions.sync": "copy and its folder synced",
    "warehouse.versions.remove_old": "copies that nobody needs any more removed",
    "warehouse.versions._remove": "leavings of an unfinished copy removed",
    # A backup, a restore, and the run after it.
    "runs.backup.back_up": "folder of the backups; folder that gets its name once it is verified",
    "runs.backup._one_at_a_time": "lock of the backups",
    "runs.backup._private": "file of a backup",
    "runs.backup.copy_file": "store copied and synced",
    "runs.backup._copy_state": "state store copied",
    "runs.backup._write": "what the backup says of itself",
    "runs.backup._remove": "oldest backup removed; leavings of a killed one removed",
    "state.store.StateStore.standing_still": "state store held still while it is copied",
    "runs.restore.restore": "folder of the stores, where it was lost too",
    "runs.restore._begin_anew": "restored state store gets a new name, and marks what must be read first",
    "runs.restore._new_folder": "folder for the files that are replaced",
    "runs.restore._remove": "leavings of a restore that was broken off removed",
    "runs.restore._replace": "mark that a restore is going; old files aside, restored ones in their place",
    "claire.comparing.compare": "what Claire holds is noted, before anything is sent",
}
"""By place, what is durable there (a look: nothing, but it takes the store's lock like any other)."""

ELSEWHERE = {
    "warehouse.connection.Warehouse._started": "starts DuckDB with no file in it",
    "warehouse.connection.Warehouse._detach": "closes the file, at which nothing is written",
    "runs.backup._read_only": "only reads",
    "runs.backup._rows_of_warehouse": "only reads",
    "runs.backup._versions_of_stores": "only reads",
    "runs.guards.check_early": "only reads, for a look that starts no run",
    "runs.restore._restored": "takes the stores' locks; what it does is named by the places that do it",
    "runs.restore._trouble_of_warehouse": "only reads",
    "runs.restore.situation": "only reads",
    "telemetry": "figures told beside the runs, which do not depend on them",
    "cli.sync._missing": "only reads",
    "alerts": "what is wrong, and whom it was told: no run depends on it",
    "cli.alerts.list_": "only reads",
    "cli.demo._configure": "the demo's own files, made anew at each start",
    "cli.demo._only_one": "the demo's own lock",
    "cli.demo._start_dagster": "the demo's own files",
    "cli.demo.demo": "the demo's own folder",
    "cli.months.months": "only reads",
    "cli.processes.Children.start": "log of a program that the demo starts",
    "cli.quarantine._entries": "only reads",
    "cli.resend._staged": "only reads",
    "documentation.__main__.<module>": "pages of the documentation, made by a developer",
    "lineage.openlineage._transports": "events of lineage: told beside a run, which does not depend on them",
    "lineage.stores.StateReader.__init__": "only reads",
    "lineage.stores.attached": "only reads",
    "lineage.stores.empty_copy": "in memory",
    "orchestration.assets.staging.quarantine_asset": "only reads; the domain runner does the same itself",
    "orchestration.checks.dealer_check_results": "only reads",
    "orchestration.checks.entity_check_results": "only reads",
    "orchestration.jobs.delete_old_runs": "one transaction that deletes what nothing depends on",
    "orchestration.months.months_check": "only reads",
    "orchestration.schedules.schedules": "only reads",
    "runs.doctor._clock": "asks for nothing but the other's clock",
    "runs.doctor._stores_open": "opens the stores as a run does",
    "runs.accounts.note_lost": "after a defect of this program only, which no scenario brings about",
    "runs.asking.read_again": "stores as the places that read first do, after an overlapping run only",
    "runs.orders._read_outdated_again": "notes absences as the others do, after an overlapping run only",
    "runs.orders._months_read": "only reads, where a month could not be read",
    "runs.orders._without_confirmed_gone": "only reads, where staged orders are not in the list of their month",
    "runs.outlook.outlooks": "only reads",
    "runs.estimate.estimate_backfill": "only reads",
    "runs.holding.hold_unaccounted": "hold on a dealer whose records do not add up, which no scenario brings about",
    "runs.numbers": "only reads",
    "runs.resending.resent": "only reads",
    "runs.watching.verdicts": "only reads",
    "runs.status.dealer_status": "only reads",
    "runs.summary.summary_of": "only reads",
    "state.store.StateStore.begin": "begins a transaction; what it commits is named by the place that asked for it",
    "warehouse.dictionary.<module>": "a page of the documentation, made by a developer",
}
"""Places, or whole modules, that no scenario of the matrix comes by, and why."""

CALLS = {
    "os": {"replace", "rename", "link", "symlink", "unlink", "remove", "rmdir", "mkdir", "makedirs", "fsync", "chmod",
           "truncate", "open", "write"},
    "shutil": {"copy", "copy2", "copyfile", "copytree", "move", "rmtree"},
    "sqlite3": {"connect"},
    "duckdb": {"connect"},
    "httpx": {"get", "post", "put", "patch", "delete", "request", "stream"},
}  # fmt: skip
METHODS = {
    "begin", "commit", "alone", "backup", "unlink", "rename", "symlink_to", "hardlink_to", "mkdir", "rmdir", "touch",
    "chmod", "write_text", "write_bytes", "handle_request", "stream",
}  # fmt: skip
NAMES = {"FileLock", "ensure_schema"}
WRITING_SQL = ("ATTACH", "DETACH", "CHECKPOINT", "COPY ", "EXPORT")


def is_elsewhere(place: str) -> bool:
    """Whether no scenario of the matrix need come by this place."""
    return any(place == each or place.startswith(f"{each}.") for each in ELSEWHERE)


def places_in_code(package: Path = Path(autoflex_pipeline.__file__).parent) -> set[str]:
    """The places below ``package`` that make a durable call; the sandbox, which only judges, left out."""
    places = set()
    for file in sorted(package.rglob("*.py")):
        module = file.relative_to(package).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        if module.split(".")[0] != "sandbox":
            places |= {f"{module}.{name}" for name in _durable_functions(ast.parse(file.read_text(encoding="utf-8")))}
    return places


def _durable_functions(tree: ast.AST, outer: str = "") -> Iterator[str]:
    """Qualified names of functions and methods with a durable call; what is inside a function counts as its own."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if any(isinstance(each, ast.Call) and _is_durable(each) for each in ast.walk(node)):
                yield f"{outer}{node.name}"
        elif isinstance(node, ast.ClassDef):
            yield from _durable_functions(node, f"{outer}{node.name}.")
        elif isinstance(node, ast.Call) and _is_durable(node):
            yield f"{outer}<module>"
        else:
            yield from _durable_functions(node, outer)


def _is_durable(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in NAMES or (function.id == "open" and _opens_to_write(call))
    if not isinstance(function, ast.Attribute):
        return False
    owner, name = function.value, function.attr
    if isinstance(owner, ast.Name) and owner.id in CALLS:
        return name in CALLS[owner.id]
    if name == "open":
        return _is_warehouse(owner) or _opens_to_write(call)
    if name == "replace":  # a path's takes one argument, a text's two, a moment's only named ones
        return len(call.args) == 1
    if name in ("execute", "sql"):
        return _sql_of(call).lstrip().startswith(WRITING_SQL)
    return name in METHODS


def _is_warehouse(owner: ast.expr) -> bool:
    if isinstance(owner, ast.Call):
        return isinstance(owner.func, ast.Name) and owner.func.id == "Warehouse"
    name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    return name.endswith("warehouse")


def _opens_to_write(call: ast.Call) -> bool:
    modes = [
        each.value for each in (*call.args, *(word.value for word in call.keywords)) if isinstance(each, ast.Constant)
    ]
    return any(isinstance(mode, str) and len(mode) <= 3 and set(mode) & set("wax+") for mode in modes)


def _sql_of(call: ast.Call) -> str:
    first = call.args[0] if call.args else None
    if isinstance(first, ast.JoinedStr) and first.values:
        first = first.values[0]
    return str(first.value) if isinstance(first, ast.Constant) else ""

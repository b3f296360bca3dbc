"""What is under way when a run crashes: scenarios that together come by every durable step, and how each must end.

A scenario is arranged anew for each round, in a world that goes on: what earlier rounds left stays.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from autoflex_pipeline.model import MODELS
from autoflex_pipeline.runs.backup import BackupDamagedError, backups, verify
from autoflex_pipeline.warehouse.analyst_tables import published_tables
from autoflex_pipeline_tests.faults.crashing import Run
from autoflex_pipeline_tests.projection import deviations, effects_out_of_order
from autoflex_pipeline_tests.world import (
    DEVRIES,
    JANSEN,
    LOCATIONS,
    World,
    line,
    load,
    order,
    relation,
    sandbox_dealer,
    variable,
    vehicle,
)

ORDERS = (50001, 50002)
ROTTEN, WO_NUMBER = 50003, "2026-50003"
NEW, LEAVING, BILLED, WAITING = 60000, 70000, 80000, 90000
"""Numbers of orders begin here, by what becomes of them: they are new, leave the DMS, are billed long ago, wait."""
LATER = "20270310T083000"
ON_A_SMALL_DISK = {"min_free_mb": 0, "backups_kept": 1}


NOT_PERSONAL = (
    "SELECT dealer_id, dms_number, wo_number, is_billed, is_canceled FROM appointment ORDER BY ALL",
    "SELECT dealer_id, dms_number, title FROM intervention ORDER BY ALL",
    "SELECT dealer_id, dms_number, model FROM car ORDER BY ALL",
    "SELECT dealer_id, dms_number, place FROM party ORDER BY ALL",
    "SELECT dealer_id, dms_number, attempted_at, result FROM delivery ORDER BY ALL",
)
"""What is the same in the warehouse and in the analysts' copy."""


@dataclass(frozen=True)
class Scenario:
    """``arrange`` makes the DMS (and the files) so that ``run`` has much to do in a round, and gives the effects that
    it must have in Claire, each once; ``mend`` ends what kept Claire or the DMS from answering. ``leaves_work``: also
    when nothing crashes, the effects come with the next run only."""

    name: str
    arrange: Callable[[World, int], Counter[str]]
    run: Run
    mend: Callable[[World], None] | None = None
    leaves_work: bool = False


def begin(world: World) -> None:
    """What all scenarios start from: two dealers, in step; nothing is left of what was there."""
    _clear(world)
    world.configure(warehouse=ON_A_SMALL_DISK)
    world.restart()
    load(world, JANSEN, orders=len(ORDERS), lines=1)
    own = {"vehicle_id": ROTTEN, "relation_id": ROTTEN}
    world.autoflex.load(
        JANSEN,
        {
            "order": [order(ROTTEN, **own)],
            "order_line": [line(ROTTEN * 100 + 1, ROTTEN)],
            "vehicle": [vehicle(ROTTEN, driver_relation_id=ROTTEN, owner_relation_id=ROTTEN)],
            "relation": [relation(ROTTEN)],
        },
    )
    load(world, DEVRIES, orders=1)
    world.tick(reread=True)


def _clear(world: World) -> None:
    """No file, no folder, nothing in Claire, and nothing of the first dealer in the DMS."""
    world.installation.close()
    empty(world.folder / "data")
    world.claire.reset()
    world.autoflex.load(JANSEN, {"order": [], "order_line": [], "vehicle": [], "relation": []}, replace=True)


def busy(world: World, number: int, *, is_rotten: bool | None = None) -> Counter[str]:
    """Of everything one: changed, new, billed, missing, gone for good, going bad or healing; the other dealer rests."""
    told = f"ronde {number}"
    new, leaving = NEW + number, LEAVING + number
    own = {"vehicle_id": new, "relation_id": new, "plan_date_from": LATER, "plan_date_to": None}
    is_rotten = number % 2 == 1 if is_rotten is None else is_rotten
    world.pass_time(minutes=61)
    world.autoflex.load(
        JANSEN,
        {
            "order": [
                *(order(each, notes=told) for each in ORDERS),
                order(new, notes=told, **own),
                order(leaving, notes=told, **own),
                order(
                    ROTTEN, notes=told, vehicle_id=ROTTEN, relation_id=ROTTEN,
                    order_number=None if is_rotten else WO_NUMBER,
                ),
            ],
            "order_line": [
                line(each * 100 + 1, each, line_number=1, description=told) for each in (*ORDERS, new, leaving)
            ],
            "vehicle": [
                vehicle(model=told),
                vehicle(new, model=told, driver_relation_id=new, owner_relation_id=new),
            ],
            "relation": [relation(street=told), relation(new, street=told)],
        },
    )  # fmt: skip
    changed = {*ORDERS, new, leaving} | (set() if is_rotten else {ROTTEN})
    changed |= _gone_from_dms(world)
    for row in world.autoflex.rows(JANSEN, "order"):
        earlier = int(row["order_id"])
        if NEW < earlier < new and not row["is_invoiced"]:
            world.autoflex.change(JANSEN, "order", earlier, is_invoiced=1)
            changed.add(earlier)
        elif LEAVING < earlier < leaving:
            world.autoflex.delete(JANSEN, "order", earlier)
    return Counter(map(str, changed))


def _gone_from_dms(world: World) -> set[int]:
    """The orders that Claire has as not canceled, and that the DMS no longer knows."""
    there = {int(row["order_id"]) for row in world.autoflex.rows(JANSEN, "order")}
    in_claire = world.claire.appointments(LOCATIONS[JANSEN])
    return {int(row["dms_nr"]) for row in in_claire if not row["canceled"]} - there


def first(world: World, number: int) -> Counter[str]:
    """Nothing is there yet: no file, no folder, nothing in Claire."""
    _clear(world)
    world.autoflex.load(
        JANSEN,
        {"order": [order(each) for each in ORDERS], "order_line": [line(each * 100 + 1, each) for each in ORDERS],
         "vehicle": [vehicle()], "relation": [relation()]},
    )  # fmt: skip
    world.restart()
    return Counter(str(each) for each in ORDERS)


def older_files(world: World, number: int) -> Counter[str]:
    """The files are those of an older version: tables and a column are lacking, and no version is noted."""
    effects = busy(world, number)
    with world.installation.warehouse.open() as connection:
        connection.execute("ALTER TABLE extract DROP COLUMN window_from")
        connection.execute("DROP TABLE preview")
        connection.execute("DELETE FROM schema_version")
    with world.installation.state.begin() as state:
        state.exec_driver_sql("DROP TABLE run_problem")
        state.exec_driver_sql("DELETE FROM schema_version")
    return effects


def history(world: World, number: int) -> Counter[str]:
    """A month of the past is read and sent: billed orders that Claire never had."""
    rows = [
        order(BILLED + 2 * number + each, is_invoiced=1, order_date="20260701T090000", notes=f"ronde {number}",
              plan_date_from=f"202607{10 + each}T083000", plan_date_to=None,
              vehicle_id=ROTTEN, relation_id=ROTTEN)  # billed appointments do not follow a car that changes
        for each in (0, 1)
    ]  # fmt: skip
    world.autoflex.load(
        JANSEN, {"order": rows, "order_line": [line(row["order_id"] * 100 + 1, row["order_id"]) for row in rows]}
    )
    return Counter(str(row["order_id"]) for row in rows)


def trouble(world: World, number: int) -> Counter[str]:
    """One dealer's login is refused, and half-way Claire refuses the key: it is noted, and the rest stays pending."""
    effects = busy(world, number)
    os.environ[variable(DEVRIES, "PASSWORD")] = "verkeerd"
    world.claire.set_fault("unauthorized", dms_nr=str(ORDERS[1]))
    return effects


def no_trouble(world: World) -> None:
    """The login works again, and the key is accepted."""
    os.environ[variable(DEVRIES, "PASSWORD")] = sandbox_dealer(DEVRIES).password
    world.claire.clear_faults()


def silence(world: World, number: int) -> Counter[str]:
    """One order has changed, and Claire does not answer; a new one waits for its car, which the DMS does not give."""
    new = WAITING + number
    world.configure(warehouse=ON_A_SMALL_DISK, claire={"deadline_seconds": 1})
    world.claire.set_fault("reset_before")
    world.autoflex.set_fault("status", dealer=JANSEN, endpoint="vehicle", status=403)
    world.autoflex.change(JANSEN, "order", ORDERS[0], notes=f"stilte {number}")
    world.autoflex.load(
        JANSEN,
        {
            "order": [order(new, vehicle_id=new, relation_id=ROTTEN, plan_date_from=LATER, plan_date_to=None)],
            "order_line": [line(new * 100 + 1, new)],
            "vehicle": [vehicle(new, driver_relation_id=ROTTEN, owner_relation_id=ROTTEN)],
        },
    )
    return Counter((str(ORDERS[0]), str(new)))


def no_silence(world: World) -> None:
    """Claire answers again, and the DMS gives its cars."""
    world.configure(warehouse=ON_A_SMALL_DISK)
    world.claire.clear_faults()
    world.autoflex.clear_faults()


def bad_then_retried(world: World, number: int) -> Counter[str]:
    """The quarantine is validated again while what is in it is still bad."""
    busy(world, number, is_rotten=True)
    world.tick(reread=True)
    return Counter()


def backed_up(world: World, number: int) -> Counter[str]:
    """All is delivered, and a backup is there already."""
    busy(world, number)
    world.tick(reread=True)
    world.pass_time(minutes=1)
    Run(back_up=True).go(world.installation)
    world.pass_time(minutes=1)
    return Counter()


def changed_since(world: World, number: int) -> Counter[str]:
    """Since the backup one version was delivered, and another is in the DMS."""
    for replaced in (world.folder / "data").glob("replaced-*"):
        shutil.rmtree(replaced)
    backed_up(world, number)
    known = _keys(world)
    world.autoflex.change(JANSEN, "order", ORDERS[0], notes=f"na de back-up {number}")
    world.tick(reread=True)
    world.forgotten |= _keys(world) - known
    world.autoflex.change(JANSEN, "order", ORDERS[0], notes=f"voor het terugzetten {number}")
    world.installation.close()
    return Counter([str(ORDERS[0])])


def _keys(world: World) -> set[str]:
    return {effect["idempotency_key"] for effect in world.claire.effects()}


def restored_again(world: World) -> None:
    """As a person does: what was broken off is done from its beginning."""
    world.restart()
    Run(restore=True).go(world.installation)


def restored(world: World, number: int) -> Counter[str]:
    """The backup has been put back, and no run has read what Claire holds."""
    effects = changed_since(world, number)
    restored_again(world)
    return effects


JULY = {JANSEN: [(date(2026, 7, 1), date(2026, 7, 31))]}
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("a busy tick", busy, Run({"reread": True})),
        Scenario("the first run", first, Run({"reread": True})),
        Scenario("older files", older_files, Run({"reread": True})),
        Scenario("a backfill", history, Run({"deliver_history": True}, months=JULY)),
        Scenario("the full pass", busy, Run({"full": True, "reread": True})),
        Scenario("trouble", trouble, Run({"reread": True}), mend=no_trouble, leaves_work=True),
        Scenario("silence", silence, Run({"reread": True}), mend=no_silence, leaves_work=True),
        Scenario("a dry run", busy, Run({"dry_run": True, "reread": True}), leaves_work=True),
        Scenario("a backup", backed_up, Run(back_up=True)),
        Scenario("a restore", changed_since, Run(restore=True), mend=restored_again, leaves_work=True),
        Scenario("after a restore", restored, Run({"reread": True})),
        Scenario("quarantine retried", bad_then_retried, Run(retry_quarantine=True)),
    )
}


def empty(folder: Path) -> None:
    """Remove all that is in the folder, and the folder itself unless it is a disk."""
    for each in folder.iterdir() if folder.exists() else ():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
    if folder.exists() and not os.path.ismount(folder):
        folder.rmdir()


def effects_of(world: World) -> Counter[str]:
    """How many effects each appointment of the dealer has had in Claire."""
    return Counter(effect["dms_nr"] for effect in world.claire.effects(LOCATIONS[JANSEN]))


def wrongs(world: World) -> list[str]:
    """What is not as it must be after a round's run to the end: in Claire, in the stores, in the analysts' copy.

    That an absence is believed is seen by its effect in the next round.
    """
    return [
        *(each for each in _wrong_in_claire(world) if "is gone from the DMS" not in each),
        *effects_out_of_order(world),
        *_wrong_in_stores(world),
        *_wrong_in_backups(world),
    ]


def _wrong_in_claire(world: World) -> list[str]:
    """Where Claire is not what the DMS says; of the order that has no number now, not its last good version."""
    numbers = {int(row["order_id"]): row["order_number"] for row in world.autoflex.rows(JANSEN, "order")}
    wrong = [each for dealer_id in (JANSEN, DEVRIES) for each in deviations(world, dealer_id)]
    if numbers.get(ROTTEN, WO_NUMBER) is not None:
        return wrong
    kept = world.held(str(ROTTEN))
    if kept is None or kept["wo_nr"] != WO_NUMBER:
        wrong.append(f"{ROTTEN} is in quarantine, and its last good version is not what Claire has")
    return [each for each in wrong if not each.startswith(f"{JANSEN} {ROTTEN}: ")]


def _wrong_in_stores(world: World) -> list[str]:
    """What the files hold against their own rules, and the analysts' copy against the warehouse."""
    with world.installation.state.begin() as state:
        found = state.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    wrong = [] if found == ["ok"] else [f"state store: {found}"]
    with world.installation.warehouse.open() as connection:
        broken = connection.execute(" UNION ALL ".join(map(_broken_rules, MODELS))).fetchall()
        wrong += [f"{entity}: {count} {what}" for entity, what, count in broken if count]
        return wrong + _wrong_in_copy(connection, world.folder / "data" / "analytics.duckdb")


def _wrong_in_backups(world: World) -> list[str]:
    """What counts as a backup is one; where there was one, there is one."""
    found = backups(world.installation.settings)
    had_one = world.installation.settings.warehouse.backup_folder.exists()
    wrong = ["the last backup is gone"] if had_one and not found else []
    for backup in found:
        try:
            verify(backup)
        except BackupDamagedError as error:
            wrong.append(str(error))
    return wrong


def _broken_rules(entity: str) -> str:
    """How often a key is there twice, a version ends before it begins, and two versions are open."""
    return f"""
        SELECT '{entity}', 'keys twice', count(*) - count(DISTINCT (dealer_id, dms_number)) FROM {entity}
        UNION ALL
        SELECT '{entity}', 'versions backwards', count(*) FROM {entity}_history WHERE valid_to < valid_from
        UNION ALL
        SELECT '{entity}', 'versions open twice', count(*) - count(DISTINCT (dealer_id, dms_number))
        FROM {entity}_history WHERE valid_to IS NULL
        """


def _wrong_in_copy(connection: duckdb.DuckDBPyConnection, link: Path) -> list[str]:
    """The analysts' copy opens, has all tables, and is as new as the warehouse."""
    with duckdb.connect(str(link), read_only=True) as copy:
        there = {row[0] for row in copy.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        lacking = {table.name for table in published_tables()} - there
        if lacking:
            return [f"the analysts' copy lacks {sorted(lacking)}"]
        published = {select: copy.execute(select).fetchall() for select in NOT_PERSONAL}
    wrong = [
        f"the analysts' copy has other rows than the warehouse: {select}"
        for select, rows in published.items()
        if rows != connection.execute(select).fetchall()
    ]
    left = [path.name for path in link.parent.glob(".*.building*")]
    return wrong + [f"left behind: {name}" for name in left]

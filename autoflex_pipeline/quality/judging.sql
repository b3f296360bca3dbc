-- What the modules of this folder ask the warehouse; {entity}, {columns} and {reference} are put in from declarations.

-- name: dealers
-- The first day of a dealer is left out of all history: everything was new on it.
CREATE OR REPLACE TEMP TABLE judged_dealer AS
SELECT dealer.dealer_id, dealer.zone, $now::TIMESTAMPTZ - to_seconds(dealer.hours * 3600) AS waits_since,
    ($now::TIMESTAMPTZ AT TIME ZONE dealer.zone)::DATE AS today,
    ($now::TIMESTAMPTZ AT TIME ZONE dealer.zone)::TIME AS local_time,
    (first_read.at AT TIME ZONE dealer.zone)::DATE + 1 AS first_day,
    coalesce(greatest(0, today - first_day), 0)::INTEGER AS watched_days
FROM (SELECT unnest($ids::VARCHAR[]) AS dealer_id, unnest($zones::VARCHAR[]) AS zone, unnest($hours::DOUBLE[]) AS hours)
    AS dealer
LEFT JOIN (SELECT dealer_id, min(started_at) AS at FROM extract WHERE is_complete GROUP BY dealer_id) AS first_read
    USING (dealer_id);

-- name: new_by_day
-- Work orders made on this weekday, by day, up to this time of the day where the dealer is.
SELECT dealer_id, day, count(*)
FROM (
    SELECT dealer_id, (appointment.created_at AT TIME ZONE zone)::DATE AS day
    FROM appointment
    JOIN judged_dealer USING (dealer_id)
    WHERE appointment.created_at >= $from
      AND (appointment.created_at AT TIME ZONE zone)::TIME <= local_time
      AND (judged_dealer.today - (appointment.created_at AT TIME ZONE zone)::DATE) % 7 = 0
) AS made
GROUP BY dealer_id, day;

-- name: last_changes
-- The newest change of an order before each of the moments asked for.
SELECT point.dealer_id, point.moment, newest.fetched_at
FROM (SELECT dealer_id, unnest($moments::TIMESTAMPTZ[]) AS moment FROM judged_dealer) AS point
ASOF LEFT JOIN (
    SELECT dealer_id, fetched_at FROM raw_record WHERE entity = 'order' AND fetched_at >= $from
) AS newest
    ON newest.dealer_id = point.dealer_id AND newest.fetched_at <= point.moment;

-- name: rejected
SELECT dealer_id, entity, coalesce(known.rows, 0) AS rows, coalesce(bad.rows, 0) AS rejected
FROM ({known}) AS known
FULL JOIN (
    SELECT dealer_id, entity, count(DISTINCT coalesce(dms_number, chr(1) || raw_seq)) AS rows
    FROM quarantine WHERE state = 'open' GROUP BY dealer_id, entity
) AS bad USING (dealer_id, entity)
SEMI JOIN judged_dealer USING (dealer_id)
ORDER BY entity, dealer_id;

-- name: versions
-- Versions accepted of late and before, without those that a backfill brought: the past looks different.
SELECT dealer_id, valid_from >= $recent AS is_recent, count(*) AS rows, {columns}
FROM {entity}_history AS version
JOIN judged_dealer USING (dealer_id)
WHERE valid_from >= $from
  AND valid_from >= (first_day::TIMESTAMP AT TIME ZONE zone)
  AND run_id NOT IN (SELECT run_id FROM extract WHERE window_from IS NOT NULL AND started_at >= $from)
GROUP BY dealer_id, is_recent;

-- name: of_late
SELECT dealer_id, count(*) FROM {entity}
WHERE observed_at >= $recent GROUP BY dealer_id;

-- name: orphans
SELECT dealer_id, count(*) AS rows, count(*) FILTER (is_orphan) AS orphans
FROM ({reference}) AS referring
GROUP BY dealer_id
ORDER BY dealer_id;

-- name: orphans_appointment
-- Of open ones: the car and the contractor. What the DMS says does not exist is not waited for.
SELECT dealer_id, observed_at <= waits_since AND (
    (car_dms_number IS NOT NULL AND NOT EXISTS (
        FROM car WHERE car.dealer_id = appointment.dealer_id AND car.dms_number = appointment.car_dms_number))
    OR (contractor_dms_number IS NOT NULL AND NOT EXISTS (
        FROM party
        WHERE party.dealer_id = appointment.dealer_id AND party.dms_number = appointment.contractor_dms_number))
) AS is_orphan
FROM appointment JOIN judged_dealer USING (dealer_id)
WHERE NOT is_billed;

-- name: orphans_intervention
SELECT dealer_id, observed_at <= waits_since AND NOT EXISTS (
    FROM appointment
    WHERE appointment.dealer_id = intervention.dealer_id
      AND appointment.dms_number = intervention.appointment_dms_number
) AS is_orphan
FROM intervention JOIN judged_dealer USING (dealer_id);

-- name: orphans_car
-- The driver and the owner.
SELECT dealer_id, observed_at <= waits_since AND (
    (driver_dms_number IS NOT NULL AND NOT EXISTS (
        FROM party WHERE party.dealer_id = car.dealer_id AND party.dms_number = car.driver_dms_number))
    OR (owner_dms_number IS NOT NULL AND NOT EXISTS (
        FROM party WHERE party.dealer_id = car.dealer_id AND party.dms_number = car.owner_dms_number))
) AS is_orphan
FROM car JOIN judged_dealer USING (dealer_id);

-- What latency.py asks the warehouse.

-- name: latencies
-- The first delivery after each version of an appointment, where a field of the appointment itself went; what went
-- because of its car, a party or a line is left out: that change has another moment.
WITH sent AS (
    SELECT dealer_id, dms_number, attempted_at, run_id
    FROM delivery
    WHERE attempted_at >= $from AND ($run_id IS NULL OR run_id = $run_id)
      AND (result = 'created' OR (result = 'updated' AND len(list_filter(
          from_json(fields_changed, '[{"field": "VARCHAR"}]'),
          lambda change: NOT contains(change.field, '.') AND NOT contains(change.field, '['))) > 0))
),
version AS (
    SELECT dealer_id, dms_number, valid_from, modified_at, raw_seq FROM appointment_history WHERE valid_from >= $before
),
matched AS (
    SELECT sent.dealer_id, sent.attempted_at, version.valid_from, version.modified_at, version.raw_seq
    FROM sent
    ASOF JOIN version
      ON version.dealer_id = sent.dealer_id AND version.dms_number = sent.dms_number
     AND version.valid_from <= sent.attempted_at
    QUALIFY row_number() OVER (
        PARTITION BY sent.dealer_id, sent.dms_number, version.valid_from ORDER BY sent.attempted_at) = 1
)
SELECT matched.dealer_id, matched.attempted_at, greatest(0, epoch(matched.attempted_at) - epoch(
    CASE
        WHEN matched.modified_at BETWEEN matched.valid_from - INTERVAL 1 DAY AND matched.valid_from
        THEN matched.modified_at
        ELSE coalesce(raw_record.fetched_at, matched.valid_from)
    END)) AS seconds
FROM matched
LEFT JOIN (FROM raw_record WHERE fetched_at >= $before) AS raw_record ON raw_record.seq = matched.raw_seq

-- What accounting.py runs; {entity} and {raw} are put in.

-- name: extracted
-- Counted by itself: a record that staging has twice must not count as two that came.
SELECT dealer_id, count(*) FROM sighting WHERE entity = '{raw}' AND run_id = $run_id GROUP BY dealer_id;

-- name: account
-- What became of each record that the run saw: skipped for a reason, in quarantine now (older entries too), written in
-- this run, or as it was. A line that left its order after it was seen counts as unchanged: its list tells the rest.
WITH seen AS (
    SELECT dealer_id, record_key, raw_seq FROM sighting WHERE entity = '{raw}' AND run_id = $run_id
),
bad AS (
    SELECT dealer_id, dms_number, max(raw_seq) AS raw_seq, bool_or(state = 'open') AS is_open
    FROM quarantine
    WHERE entity = '{entity}' AND state IN ('open', 'gone')
    GROUP BY dealer_id, dms_number, CASE WHEN dms_number IS NULL THEN raw_seq END
)
SELECT dealer_id, fate, count(*)
FROM (
    SELECT seen.dealer_id,
        CASE
            WHEN skipped.reason IS NOT NULL THEN skipped.reason
            WHEN keyless.is_open OR keyed.is_open THEN 'quarantined'
            WHEN current.run_id = $run_id THEN 'accepted'
            WHEN current.dms_number IS NOT NULL OR keyed.dms_number IS NOT NULL OR past.dms_number IS NOT NULL
            THEN 'unchanged'
            ELSE 'lost'
        END AS fate
    FROM seen
    LEFT JOIN skipped
      ON skipped.entity = '{raw}' AND skipped.dealer_id = seen.dealer_id AND skipped.record_key = seen.record_key
    LEFT JOIN bad AS keyed ON keyed.dealer_id = seen.dealer_id AND keyed.dms_number = seen.record_key
    LEFT JOIN (FROM bad WHERE dms_number IS NULL) AS keyless
      ON seen.record_key IS NULL AND keyless.dealer_id = seen.dealer_id AND keyless.raw_seq = seen.raw_seq
    LEFT JOIN {entity} AS current ON current.dealer_id = seen.dealer_id AND current.dms_number = seen.record_key
    LEFT JOIN (SELECT DISTINCT dealer_id, dms_number FROM {entity}_past) AS past
      ON past.dealer_id = seen.dealer_id AND past.dms_number = seen.record_key
) AS told
GROUP BY dealer_id, fate;

-- name: lost
-- Records that staging has passed, of whichever run, and that are nowhere: not written, not in quarantine, not skipped.
SELECT seen.dealer_id, '{raw}' AS entity, seen.record_key
FROM sighting AS seen
WHERE seen.entity = '{raw}' AND seen.dealer_id = $dealer_id
  AND seen.raw_seq <= (SELECT max(raw_seq) FROM staged WHERE entity = '{raw}')
  AND NOT EXISTS (
      FROM skipped WHERE skipped.entity = '{raw}' AND skipped.dealer_id = seen.dealer_id
      AND skipped.record_key = seen.record_key)
  AND NOT EXISTS (
      FROM quarantine AS bad WHERE bad.entity = '{entity}' AND bad.dealer_id = seen.dealer_id
      AND (bad.dms_number = seen.record_key OR (seen.record_key IS NULL AND bad.raw_seq = seen.raw_seq)))
  AND NOT EXISTS (
      FROM {entity} AS now WHERE now.dealer_id = seen.dealer_id AND now.dms_number = seen.record_key)
  AND NOT EXISTS (
      FROM {entity}_past AS past WHERE past.dealer_id = seen.dealer_id AND past.dms_number = seen.record_key)

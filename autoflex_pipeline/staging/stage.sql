-- The steps of staging one entity, each found by its name; {entity}, {raw}, {fields}, {changed}, {columns} are put in by
-- stage.py from the declarations. Temporary tables: again, batch, typed, known, accepted, found.

-- name: is_new
SELECT 1 FROM raw_record WHERE entity = '{raw}' AND seq > $watermark

-- name: is_again
SELECT 1 FROM restage WHERE entity = '{raw}'

-- name: batch
-- The newest raw record of every key that is new or to be taken again. A record without a key is known by its content.
CREATE OR REPLACE TEMP TABLE batch AS
SELECT max(seq) AS seq, any_value(dealer_id) AS dealer_id
FROM (
    SELECT seq, dealer_id, record_key, raw_hash FROM raw_record WHERE entity = '{raw}' AND seq > $watermark
    UNION ALL
    SELECT raw_seq, dealer_id, record_key, raw_hash FROM again
) AS candidate
GROUP BY dealer_id, record_key, CASE WHEN record_key IS NULL THEN raw_hash END;

-- name: nothing_again
CREATE OR REPLACE TEMP TABLE again AS SELECT seq AS raw_seq, dealer_id, record_key, raw_hash FROM raw_record LIMIT 0;

-- name: again
CREATE OR REPLACE TEMP TABLE again AS
WITH wanted AS (
    SELECT sighting.* FROM sighting
    SEMI JOIN restage
      ON restage.entity = sighting.entity AND restage.dealer_id = sighting.dealer_id
     AND restage.record_key = sighting.record_key
    WHERE sighting.entity = '{raw}'
),
-- An order that is gone is canceled as it was last accepted: its newest record may be in quarantine.
good AS (
    SELECT appointment.dealer_id, appointment.dms_number, appointment.raw_seq
    FROM (
        SELECT dealer_id, dms_number FROM absence
        WHERE '{raw}' = 'order' AND confirmed_at IS NOT NULL AND returned_at IS NULL
        AND (dealer_id, dms_number) IN (SELECT (dealer_id, record_key) FROM wanted)
    ) AS gone
    JOIN appointment USING (dealer_id, dms_number)
)
SELECT coalesce(good.raw_seq, wanted.raw_seq) AS raw_seq, wanted.dealer_id, wanted.record_key, wanted.raw_hash
FROM wanted
LEFT JOIN good ON good.dealer_id = wanted.dealer_id AND good.dms_number = wanted.record_key;

-- name: left_their_order
-- Lines to take again that their order no longer has, now that its lines were read completely.
CREATE OR REPLACE TEMP TABLE left_order AS
SELECT again.dealer_id, again.record_key AS dms_number, again.raw_seq
FROM again
JOIN raw_record ON raw_record.seq = again.raw_seq
JOIN line_list ON line_list.dealer_id = again.dealer_id AND line_list.order_key = raw_record.parent_key
WHERE NOT list_contains(line_list.line_keys, again.record_key);

-- name: close_left_lines
INSERT INTO document_dirty
SELECT DISTINCT dealer_id, appointment_dms_number
FROM intervention SEMI JOIN left_order USING (dealer_id, dms_number);
INSERT INTO intervention_past BY NAME
SELECT intervention.* EXCLUDE (observed_at), observed_at AS valid_from,
    greatest($now, observed_at + INTERVAL 1 MICROSECOND) AS valid_to
FROM intervention SEMI JOIN left_order USING (dealer_id, dms_number);
DELETE FROM intervention USING left_order AS gone
WHERE intervention.dealer_id = gone.dealer_id AND intervention.dms_number = gone.dms_number;
UPDATE quarantine SET state = 'gone'
FROM left_order AS gone
WHERE quarantine.entity = 'intervention' AND quarantine.state = 'open'
  AND quarantine.dealer_id = gone.dealer_id AND quarantine.dms_number = gone.dms_number;
DELETE FROM batch WHERE seq IN (SELECT raw_seq FROM left_order);

-- name: known
-- The versions that rows of the batch have already, and whether they become another: all that replacing them needs, so
-- that the entity's table, which may be a thousand times as large as the batch, is read once.
CREATE OR REPLACE TEMP TABLE known AS
SELECT typed.seq, old.rowid AS stored_row, old.*, ({changed}) AS is_changed
FROM typed
JOIN {entity} AS old ON old.dealer_id = typed.dealer_id AND old.dms_number = typed.dms_number
WHERE NOT typed.is_rejected AND typed.skip IS NULL;

-- name: dirty_before
-- The documents of the orders that lines leave.
INSERT INTO document_dirty SELECT DISTINCT dealer_id, appointment_dms_number FROM known WHERE is_changed;

-- name: replace
INSERT INTO {entity}_past BY NAME
SELECT known.* EXCLUDE (seq, stored_row, is_changed, observed_at), observed_at AS valid_from,
    greatest($now, observed_at + INTERVAL 1 MICROSECOND) AS valid_to
FROM known WHERE is_changed;
DELETE FROM {entity} WHERE rowid IN (SELECT stored_row FROM known WHERE is_changed);

-- name: accepted
-- The rows that become a new version, or a first one.
CREATE OR REPLACE TEMP TABLE accepted AS
SELECT typed.seq, typed.dealer_id, typed.dms_number, known.seq IS NULL AS is_first,
    CASE WHEN known.observed_at >= $now THEN known.observed_at + INTERVAL 1 MICROSECOND ELSE $now END AS observed_at
FROM typed
LEFT JOIN known ON known.seq = typed.seq
WHERE NOT typed.is_rejected AND typed.skip IS NULL AND known.is_changed IS NOT FALSE;

-- name: accepted_rows
SELECT {columns}, seq AS raw_seq, $run_id AS run_id, accepted.observed_at FROM typed JOIN accepted USING (seq)

-- name: accept
INSERT INTO {entity} BY NAME {accepted_rows};

-- name: found
CREATE OR REPLACE TEMP TABLE found AS
SELECT seq, dealer_id, dms_number, rule_number, befores[rule.before_at] AS before, afters[rule.after_at] AS after
FROM (
    SELECT seq, dealer_id, dms_number, befores, afters,
        unnest(hits) AS is_hit, (generate_subscripts(hits, 1) - 1)::SMALLINT AS rule_number
    FROM typed WHERE hits IS NOT NULL
) AS judged
JOIN staging_rule AS rule USING (rule_number)
WHERE is_hit;

-- name: mileage_lower
-- Against the highest mileage of the car on any earlier day, as staged now.
CREATE OR REPLACE TEMP TABLE of_same_car AS
SELECT raw_seq, dealer_id, dms_number, car_dms_number, appointment_date, dms_mileage
FROM appointment
SEMI JOIN (
    SELECT dealer_id, car_dms_number FROM typed WHERE dms_mileage IS NOT NULL AND NOT is_rejected AND skip IS NULL
) AS taken USING (dealer_id, car_dms_number)
WHERE dms_mileage IS NOT NULL AND car_dms_number IS NOT NULL;
INSERT INTO found
WITH by_day AS (
    SELECT dealer_id, car_dms_number, appointment_date, max(dms_mileage) AS highest FROM of_same_car GROUP BY ALL
),
earlier AS (
    SELECT dealer_id, car_dms_number, appointment_date,
        max(highest) OVER (
            PARTITION BY dealer_id, car_dms_number ORDER BY appointment_date
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS highest
    FROM by_day
)
SELECT judged.raw_seq, judged.dealer_id, judged.dms_number, $rule, judged.dms_mileage::VARCHAR, NULL
FROM of_same_car AS judged
JOIN earlier USING (dealer_id, car_dms_number, appointment_date)
WHERE judged.dms_mileage < earlier.highest
  -- A row that was there before is told of once, when an earlier appointment arrives after it.
  AND (judged.raw_seq IN (SELECT seq FROM typed) OR NOT EXISTS (
      FROM finding
      WHERE finding.entity = 'appointment' AND finding.rule = 'mileage_lower'
        AND finding.raw_seq = judged.raw_seq AND finding.dms_number = judged.dms_number));

-- name: orphans
-- Lines that have waited long enough for an order that is not staged; once for each version of the line.
SELECT line.raw_seq, line.dealer_id, line.dms_number, line.appointment_dms_number
FROM intervention AS line
JOIN dealer_clock ON dealer_clock.dealer_id = line.dealer_id AND line.observed_at <= dealer_clock.waits_since
ANTI JOIN appointment
  ON appointment.dealer_id = line.dealer_id AND appointment.dms_number = line.appointment_dms_number
ANTI JOIN (FROM finding WHERE entity = 'intervention' AND rule = 'orphan') AS told
  ON told.dealer_id = line.dealer_id AND told.dms_number = line.dms_number AND told.raw_seq = line.raw_seq

-- name: orphan
INSERT INTO found SELECT raw_seq, dealer_id, dms_number, $rule, appointment_dms_number, NULL FROM ({orphans}) AS orphan;

-- name: found_named
CREATE OR REPLACE TEMP TABLE found_named AS
SELECT found.dealer_id, '{entity}' AS entity, found.dms_number, rule.severity, rule.rule, rule.field, found.before,
    found.after, rule.hint, found.seq AS raw_seq
FROM found JOIN staging_rule AS rule USING (rule_number);

-- name: findings_again
-- Of a raw record that is taken again, what was found before and still is stays as it was written.
DELETE FROM finding
WHERE entity = '{entity}' AND rule <> 'orphan' AND raw_seq IN (SELECT raw_seq FROM again)
  AND NOT EXISTS (
      FROM found_named AS now
      WHERE now.raw_seq = finding.raw_seq AND now.rule = finding.rule AND now.field = finding.field
        AND now.before IS NOT DISTINCT FROM finding.before AND now.after IS NOT DISTINCT FROM finding.after);

-- name: findings
INSERT INTO finding BY NAME
SELECT now.*, $run_id AS run_id, $now AS found_at
FROM found_named AS now
ANTI JOIN (FROM finding WHERE entity = '{entity}' AND raw_seq IN (SELECT raw_seq FROM again)) AS old
  ON old.raw_seq = now.raw_seq AND old.rule = now.rule AND old.field = now.field;

-- name: quarantine
-- A rejected row whose entry is there: the same entry, seen again. Without a key it is known by its raw record.
CREATE OR REPLACE TEMP TABLE rejected AS
SELECT now.dealer_id, now.dms_number, now.rule, now.field, any_value(now.before) AS value, any_value(now.hint) AS hint,
    now.raw_seq, any_value(typed.source) AS source,
    coalesce(now.dms_number, chr(1) || now.raw_seq) AS identity
FROM found_named AS now JOIN typed ON typed.seq = now.raw_seq
WHERE now.severity = 'reject' AND typed.is_rejected
GROUP BY ALL;
CREATE OR REPLACE TEMP TABLE judged AS
SELECT dealer_id, coalesce(dms_number, chr(1) || seq) AS identity, is_rejected, skip FROM typed;
CREATE OR REPLACE TEMP TABLE open_before AS
SELECT dealer_id, coalesce(dms_number, chr(1) || raw_seq) AS identity, rule, field
FROM quarantine WHERE entity = '{entity}' AND state = 'open';
UPDATE quarantine SET last_seen_at = $now, value = now.value, raw_seq = now.raw_seq, source = now.source
FROM rejected AS now
WHERE quarantine.entity = '{entity}' AND quarantine.state = 'open' AND quarantine.dealer_id = now.dealer_id
  AND coalesce(quarantine.dms_number, chr(1) || quarantine.raw_seq) = now.identity
  AND quarantine.rule = now.rule AND quarantine.field = now.field;
UPDATE quarantine
SET state = CASE WHEN now.is_rejected THEN 'replaced' WHEN now.skip IS NULL THEN 'healed' ELSE 'gone' END
FROM judged AS now
WHERE quarantine.entity = '{entity}' AND quarantine.state = 'open' AND quarantine.dealer_id = now.dealer_id
  AND coalesce(quarantine.dms_number, chr(1) || quarantine.raw_seq) = now.identity
  AND NOT EXISTS (
      FROM rejected
      WHERE rejected.dealer_id = now.dealer_id AND rejected.identity = now.identity
        AND rejected.rule = quarantine.rule AND rejected.field = quarantine.field);
INSERT INTO quarantine BY NAME
SELECT now.* EXCLUDE (identity), '{entity}' AS entity, $now AS first_seen_at, $now AS last_seen_at, 'open' AS state,
    $run_id AS run_id
FROM rejected AS now
ANTI JOIN open_before AS old
  ON old.dealer_id = now.dealer_id AND old.identity = now.identity AND old.rule = now.rule AND old.field = now.field;

-- name: skipped
DELETE FROM skipped USING typed
WHERE skipped.entity = '{raw}' AND skipped.dealer_id = typed.dealer_id AND skipped.record_key = typed.dms_number;
INSERT INTO skipped
SELECT dealer_id, '{raw}', dms_number, skip, seq FROM typed WHERE skip IS NOT NULL AND NOT is_rejected;

-- name: returned
DELETE FROM absence USING typed
WHERE absence.dealer_id = typed.dealer_id AND absence.dms_number = typed.dms_number AND absence.returned_at IS NOT NULL
  AND NOT typed.is_rejected AND typed.skip IS NULL;

-- name: dirty_appointment
INSERT INTO document_dirty SELECT dealer_id, dms_number FROM accepted;

-- name: dirty_intervention
INSERT INTO document_dirty
SELECT DISTINCT typed.dealer_id, appointment_dms_number FROM typed SEMI JOIN accepted USING (seq);

-- name: dirty_car
INSERT INTO document_dirty
SELECT appointment.dealer_id, appointment.dms_number
FROM appointment
JOIN accepted
  ON accepted.dealer_id = appointment.dealer_id AND accepted.dms_number = appointment.car_dms_number
-- A billed one keeps what it has, but does not stay without what was not there when it was billed.
WHERE NOT appointment.is_billed OR accepted.is_first;

-- name: dirty_party
INSERT INTO document_dirty
WITH their_car AS (
    SELECT car.dealer_id, car.dms_number, accepted.is_first
    FROM car JOIN accepted ON accepted.dealer_id = car.dealer_id AND accepted.dms_number = car.driver_dms_number
    UNION
    SELECT car.dealer_id, car.dms_number, accepted.is_first
    FROM car JOIN accepted ON accepted.dealer_id = car.dealer_id AND accepted.dms_number = car.owner_dms_number
)
SELECT appointment.dealer_id, appointment.dms_number
FROM appointment
JOIN accepted
  ON accepted.dealer_id = appointment.dealer_id AND accepted.dms_number = appointment.contractor_dms_number
WHERE NOT appointment.is_billed OR accepted.is_first
UNION
SELECT appointment.dealer_id, appointment.dms_number
FROM appointment
JOIN their_car ON their_car.dealer_id = appointment.dealer_id AND their_car.dms_number = appointment.car_dms_number
WHERE NOT appointment.is_billed OR their_car.is_first;

-- name: watermark
DELETE FROM staged WHERE entity = '{raw}';
INSERT INTO staged
SELECT '{raw}', greatest($watermark, coalesce(max(seq), 0)) FROM raw_record
WHERE entity = '{raw}' AND seq > $watermark;

-- name: untold
-- Records that were taken, and whose raw version stands nowhere.
CREATE OR REPLACE TEMP TABLE batch AS
SELECT seq, dealer_id
FROM taken
WHERE entity = '{entity}'
  AND NOT EXISTS (
      FROM {entity} AS now
      WHERE now.dealer_id = taken.dealer_id AND now.dms_number = taken.dms_number AND now.raw_seq = taken.seq)
  AND NOT EXISTS (
      FROM quarantine
      WHERE quarantine.entity = '{entity}' AND quarantine.state IN ('open', 'gone') AND quarantine.raw_seq = taken.seq)
  AND NOT EXISTS (FROM skipped WHERE skipped.entity = '{raw}' AND skipped.raw_seq = taken.seq);

-- name: told_wrong
-- Of these the ones that what is staged does not equal.
SELECT typed.dealer_id, '{raw}', typed.dms_number
FROM typed
LEFT JOIN {entity} AS old ON old.dealer_id = typed.dealer_id AND old.dms_number = typed.dms_number
WHERE typed.is_rejected OR typed.skip IS NOT NULL OR old.dms_number IS NULL OR {changed};

-- name: counts
SELECT dealer_id, sum(accepted)::BIGINT, sum(repaired)::BIGINT, sum(warned)::BIGINT, sum(quarantined)::BIGINT
FROM (
    SELECT dealer_id, 1 AS accepted, 0 AS repaired, 0 AS warned, 0 AS quarantined FROM accepted
    UNION ALL
    SELECT dealer_id, 0, bool_or(severity = 'repair')::INTEGER, bool_or(severity = 'warn')::INTEGER, 0
    FROM found JOIN staging_rule USING (rule_number) GROUP BY dealer_id, seq
    UNION ALL
    SELECT dealer_id, 0, 0, 0, 1 FROM typed WHERE is_rejected
) AS counted
GROUP BY dealer_id;

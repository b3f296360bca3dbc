-- What matching.py asks of the attached warehouse. $signs are letters and digits in capitals; translate() takes the rest
-- out of a column without a regular expression.

-- name: staged
SELECT dms_number, bool_or(is_exact) AS is_exact
FROM (
    SELECT dms_number, appointment_date, upper(wo_number) = $text OR upper(dms_number) = $text AS is_exact
    FROM source.appointment
    WHERE dealer_id = $dealer
      AND (translate(upper(wo_number), ' -./', '') = $signs OR translate(upper(dms_number), ' -./', '') = $signs)
    UNION ALL
    SELECT a.dms_number, a.appointment_date, true
    FROM source.appointment a
    WHERE a.dealer_id = $dealer AND a.car_dms_number IN (
        SELECT c.dms_number FROM source.car c
        WHERE c.dealer_id = $dealer AND translate(upper(c.registration_number), ' -./', '') = $signs)
) AS found
GROUP BY dms_number
ORDER BY max(appointment_date) DESC, dms_number;

-- name: staged_before
SELECT dms_number
FROM (
    SELECT dms_number, appointment_date
    FROM source.appointment_past
    WHERE dealer_id = $dealer AND translate(upper(wo_number), ' -./', '') = $signs
    UNION ALL
    SELECT a.dms_number, a.appointment_date
    FROM source.appointment a
    WHERE a.dealer_id = $dealer AND a.car_dms_number IN (
        SELECT c.dms_number FROM source.car_past c
        WHERE c.dealer_id = $dealer AND translate(upper(c.registration_number), ' -./', '') = $signs)
) AS found
GROUP BY dms_number
ORDER BY max(appointment_date) DESC, dms_number;

-- name: unstaged
-- Orders that were seen and are not in staging: in quarantine, skipped, or brought by a run that did not come that far.
-- A table of its own: in one query DuckDB would read the JSON of all records before it asks which of them are wanted.
CREATE OR REPLACE TEMP TABLE unstaged AS
SELECT r.seq, r.record_key, r.record
FROM source.raw_record r
SEMI JOIN (
    SELECT raw_seq
    FROM source.sighting s
    ANTI JOIN source.appointment a ON a.dealer_id = s.dealer_id AND a.dms_number = s.record_key
    WHERE s.dealer_id = $dealer AND s.entity = 'order' AND s.record_key IS NOT NULL
) AS wanted ON wanted.raw_seq = r.seq;

-- name: never_staged
SELECT record_key
FROM unstaged
WHERE translate(upper(record_key), ' -./', '') = $signs
   OR translate(upper(try(record ->> '$."{wo_number}"')), ' -./', '') = $signs
ORDER BY seq DESC;

-- name: counted
SELECT
    (SELECT count(*) FROM source.sighting WHERE dealer_id = $dealer AND entity = 'order'),
    (SELECT count(*) FROM source.sighting WHERE dealer_id = $dealer AND entity = 'vehicle');

-- name: near
-- As many signs may differ as are in a quarter of the query, at least one.
SELECT kind, value
FROM (
    SELECT *, translate(upper(value), ' -./', '') AS its_signs, greatest(1, length($signs) // 4) AS most_apart
    FROM (
        SELECT 'WO number' AS kind, wo_number AS value FROM source.appointment WHERE dealer_id = $dealer
        UNION ALL
        SELECT 'DMS number', dms_number FROM source.appointment WHERE dealer_id = $dealer
        UNION ALL
        SELECT 'plate', registration_number FROM source.car WHERE dealer_id = $dealer
    ) AS known
) AS known
WHERE abs(length(its_signs) - length($signs)) <= most_apart
  AND CASE WHEN abs(length(its_signs) - length($signs)) <= most_apart
      THEN damerau_levenshtein(its_signs, $signs) <= most_apart END
GROUP BY kind, value, its_signs
ORDER BY damerau_levenshtein(its_signs, $signs), kind, value
LIMIT $most;

-- name: other_dealers
SELECT DISTINCT dealer_id
FROM (
    SELECT dealer_id FROM source.appointment WHERE wo_number = $text
    UNION ALL
    SELECT dealer_id FROM source.appointment WHERE dms_number = $text
) AS elsewhere
WHERE dealer_id <> $dealer
ORDER BY dealer_id;

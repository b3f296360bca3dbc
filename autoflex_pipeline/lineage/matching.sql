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

-- name: never_staged
-- Orders that were seen and are not in staging: in quarantine, skipped, or brought by a run that did not come that far.
SELECT r.record_key
FROM source.raw_record r
SEMI JOIN (
    SELECT raw_seq
    FROM source.sighting s
    ANTI JOIN source.appointment a ON a.dealer_id = s.dealer_id AND a.dms_number = s.record_key
    WHERE s.dealer_id = $dealer AND s.entity = 'order' AND s.record_key IS NOT NULL
) AS unstaged ON unstaged.raw_seq = r.seq
WHERE translate(upper(r.record_key), ' -./', '') = $signs
   OR translate(upper(try(r.record ->> '$."{wo_number}"')), ' -./', '') = $signs
ORDER BY r.seq DESC;

-- name: counted
SELECT
    (SELECT count(*) FROM source.sighting WHERE dealer_id = $dealer AND entity = 'order'),
    (SELECT count(*) FROM source.sighting WHERE dealer_id = $dealer AND entity = 'vehicle');

-- name: near
SELECT kind, value
FROM (
    SELECT 'WO number' AS kind, wo_number AS value FROM source.appointment WHERE dealer_id = $dealer
    UNION ALL
    SELECT 'DMS number', dms_number FROM source.appointment WHERE dealer_id = $dealer
    UNION ALL
    SELECT 'plate', registration_number FROM source.car WHERE dealer_id = $dealer
) AS known
WHERE value IS NOT NULL
  AND damerau_levenshtein(translate(upper(value), ' -./', ''), $signs) <= greatest(1, length($signs) // 4)
GROUP BY kind, value
ORDER BY damerau_levenshtein(translate(upper(value), ' -./', ''), $signs), kind, value
LIMIT $most;

-- name: other_dealers
SELECT DISTINCT dealer_id
FROM source.appointment
WHERE dealer_id <> $dealer
  AND (translate(upper(wo_number), ' -./', '') = $signs OR translate(upper(dms_number), ' -./', '') = $signs)
ORDER BY dealer_id;

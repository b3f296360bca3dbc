-- What schema_drift.py runs. dms_field has a row per field and form, and one without a field that counts the records.

-- name: sample
CREATE OR REPLACE TEMP TABLE dms_sample AS
SELECT dealer_id, entity, record
FROM raw_record
WHERE seq > $first AND json_valid(record) AND json_type(record) = 'OBJECT'
QUALIFY row_number() OVER (PARTITION BY dealer_id, entity ORDER BY seq DESC) <= $limit;

-- name: seen
-- The form of a date shows its digits as 9 and its letters as a: two ways to write it are two forms.
CREATE OR REPLACE TEMP TABLE dms_seen AS
WITH used AS (
    SELECT unnest($entities::VARCHAR[]) AS entity, unnest($names::VARCHAR[]) AS field,
        unnest($is_moment::BOOLEAN[]) AS is_moment
),
given AS (
    SELECT dealer_id, entity, field,
        json_extract(record, '/' || replace(replace(field, '~', '~0'), '/', '~1')) AS value
    FROM (SELECT dealer_id, entity, record, unnest(json_keys(record)) AS field FROM dms_sample) AS keys
    WHERE field <> '' AND length(field) <= 100
)
SELECT dealer_id, entity, field, shape, count(*) AS records
FROM (
    SELECT given.dealer_id, given.entity, given.field,
        CASE coalesce(json_type(value), 'NULL')
            WHEN 'NULL' THEN 'empty'
            WHEN 'BOOLEAN' THEN 'true or false'
            WHEN 'ARRAY' THEN 'list'
            WHEN 'OBJECT' THEN 'object'
            WHEN 'VARCHAR' THEN CASE
                WHEN trim(value ->> '$') = '' THEN 'empty'
                WHEN used.is_moment THEN 'text ' || left(
                    regexp_replace(regexp_replace(value ->> '$', '[0-9]', '9', 'g'), '[A-SU-Za-z]', 'a', 'g'), 30)
                ELSE 'text'
            END
            ELSE 'number'
        END AS shape
    FROM given
    LEFT JOIN used ON used.entity = given.entity AND used.field = given.field
) AS shaped
GROUP BY ALL
UNION ALL
SELECT dealer_id, entity, '', 'record', count(*) FROM dms_sample GROUP BY ALL;

-- name: merged
-- At most 500 rows a dealer and kind: a DMS that puts data into names must not fill the disk.
CREATE OR REPLACE TEMP TABLE dms_merged AS
WITH looked_at AS (SELECT dealer_id, entity, records FROM dms_seen WHERE field = ''),
there AS (SELECT DISTINCT dealer_id, entity, field FROM dms_seen)
SELECT dealer_id, entity, field, shape,
    coalesce(known.records, 0) + coalesce(seen.records, 0) AS records,
    coalesce(known.first_seen_at, $now) AS first_seen_at,
    CASE WHEN seen.records IS NULL THEN known.last_seen_at ELSE $now END AS last_seen_at,
    CASE WHEN there.field IS NULL THEN known.missing + looked_at.records ELSE 0 END AS missing
FROM (SELECT dms_field.* FROM dms_field SEMI JOIN looked_at USING (dealer_id, entity)) AS known
FULL JOIN dms_seen AS seen USING (dealer_id, entity, field, shape)
JOIN looked_at USING (dealer_id, entity)
LEFT JOIN there USING (dealer_id, entity, field)
QUALIFY row_number() OVER (PARTITION BY dealer_id, entity ORDER BY first_seen_at, field, shape) <= 500;

-- name: forget
DELETE FROM dms_field
USING (SELECT DISTINCT dealer_id, entity FROM dms_merged) AS touched
WHERE dms_field.dealer_id = touched.dealer_id AND dms_field.entity = touched.entity;

-- name: keep
INSERT INTO dms_field BY NAME SELECT * FROM dms_merged;

-- name: drift
WITH used AS (SELECT unnest($entities::VARCHAR[]) AS entity, unnest($names::VARCHAR[]) AS field),
whole AS (
    SELECT dealer_id, entity, first_seen_at AS since, records
    FROM dms_field SEMI JOIN judged_dealer USING (dealer_id)
    WHERE field = ''
),
by_field AS (
    SELECT dealer_id, entity, field, sum(records) AS records, min(first_seen_at) AS first_seen_at,
        max(missing) AS missing, sum(records) FILTER (shape <> 'empty' AND first_seen_at < $learned) AS filled_before
    FROM dms_field WHERE field <> '' GROUP BY dealer_id, entity, field
),
gone AS (
    SELECT by_field.dealer_id, 'breaking' AS class, entity, field,
        'is gone: the last ' || missing || ' records lack it; its last values stay' AS what
    FROM by_field JOIN used USING (entity, field) JOIN whole USING (dealer_id, entity)
    WHERE by_field.missing >= $needed AND by_field.records >= $known
      AND by_field.records >= $usually * (whole.records - by_field.missing)
),
other_form AS (
    SELECT form.dealer_id, CASE WHEN shape IN ('list', 'object') THEN 'breaking' ELSE 'semantic' END AS class, entity,
        field, 'comes as ' || shape || ' in ' || form.records || ' records, which it never did before' AS what
    FROM dms_field AS form JOIN used USING (entity, field) JOIN whole USING (dealer_id, entity)
    JOIN by_field USING (dealer_id, entity, field)
    WHERE shape <> 'empty' AND form.records >= $needed AND filled_before >= $known
      AND form.first_seen_at >= $learned AND form.first_seen_at >= since + to_days($learning::INTEGER)
),
additional AS (
    SELECT by_field.dealer_id, 'additive' AS class, entity, field, 'is new' AS what
    FROM by_field JOIN whole USING (dealer_id, entity)
    WHERE by_field.first_seen_at >= $learned AND by_field.first_seen_at >= since + to_days($learning::INTEGER)
)
SELECT dealer_id, class, entity, field, what
FROM (FROM gone UNION ALL FROM other_form UNION ALL FROM additional) AS changed
ORDER BY class DESC, dealer_id, entity, field, what
LIMIT 100;

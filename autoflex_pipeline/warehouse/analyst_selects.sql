-- What the analysts' copy takes from the warehouse, one statement per table; masked() is defined by pseudonyms.py.

-- name: quarantine
-- A hint should quote nothing; where it does quote the value of a personal field, the value is struck out.
SELECT
    dealer_id,
    entity,
    dms_number,
    rule,
    field,
    masked(dealer_id, entity || '.' || field, value) AS value,
    CASE
        WHEN value = '' OR value IS NOT DISTINCT FROM masked(dealer_id, entity || '.' || field, value) THEN hint
        ELSE replace(hint, value, '…')
    END AS hint,
    first_seen_at,
    last_seen_at,
    state
FROM quarantine;

-- name: delivery
-- Claire's paths name the driver or the line in brackets: customers[driver].last_name is declared as
-- customers[].last_name. What is not declared, or is no plain value, is left out.
SELECT
    dealer_id,
    dms_number,
    attempted_at,
    result,
    http_status,
    CASE WHEN has_real_values(dealer_id) THEN message END AS message,
    CASE
        WHEN fields_changed IS NULL OR has_real_values(dealer_id) THEN fields_changed
        WHEN NOT json_valid(fields_changed) OR json_type(fields_changed) <> 'ARRAY' THEN NULL
        ELSE CAST(to_json(list_transform(
            from_json(fields_changed, '[{"field": "VARCHAR", "old": "JSON", "new": "JSON"}]'),
            lambda change: {
                'field': change.field,
                'old': masked_json(dealer_id, change.field, change.old),
                'new': masked_json(dealer_id, change.field, change.new)
            }
        )) AS VARCHAR)
    END AS fields_changed,
    run_id
FROM delivery;

-- name: lineage
SELECT
    version.dealer_id,
    version.entity,
    version.dms_number,
    version.valid_from,
    raw_record.extract_id,
    raw_record.source,
    raw_record.raw_hash,
    version.run_id
FROM ({versions}) AS version
LEFT JOIN raw_record ON raw_record.seq = version.raw_seq;

-- name: extract
SELECT
    extract_id, dealer_id, source, window_from, window_to, is_complete, rows, started_at, finished_at, run_id
FROM extract;

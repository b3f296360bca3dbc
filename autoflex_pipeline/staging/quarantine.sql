-- What quarantine.py runs; a value that is NULL means any.

-- name: entries
SELECT entry.*, raw_record.raw_hash
FROM quarantine AS entry
LEFT JOIN raw_record ON raw_record.seq = entry.raw_seq
WHERE ($dealer_id IS NULL OR entry.dealer_id = $dealer_id)
  AND ($entity IS NULL OR entry.entity = $entity)
  AND ($state IS NULL OR entry.state = $state)
ORDER BY last_seen_at DESC, entry.dealer_id, entry.entity, dms_number, rule, field;

-- name: retry
INSERT INTO restage
SELECT DISTINCT quarantine.dealer_id, raw.entity, quarantine.dms_number
FROM quarantine
JOIN (SELECT unnest($entities::VARCHAR[]) AS name, unnest($raws::VARCHAR[]) AS entity) AS raw
  ON raw.name = quarantine.entity
WHERE quarantine.state = 'open' AND quarantine.dms_number IS NOT NULL
  AND ($dealer_id IS NULL OR quarantine.dealer_id = $dealer_id)
  AND ($entity IS NULL OR quarantine.entity = $entity)
  AND ($dms_number IS NULL OR quarantine.dms_number = $dms_number)
RETURNING record_key;

-- What quarantine.py runs; a value that is NULL means any.

-- name: entries
SELECT * FROM quarantine
WHERE ($dealer_id IS NULL OR dealer_id = $dealer_id)
  AND ($entity IS NULL OR entity = $entity)
  AND ($state IS NULL OR state = $state)
ORDER BY last_seen_at DESC, dealer_id, entity, dms_number, rule, field;

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

-- The steps of storing extracts; incoming_* are the tables that storing.py registers. Each runs on its own, in order,
-- and one that names what it needs ("-- step lists", see storing.py) only when that is there.
-- step
INSERT INTO extract BY NAME SELECT * FROM incoming_extract;
-- step
-- One row per record: of a record that several extracts of the run brought, the last one read wins.
CREATE OR REPLACE TEMP TABLE arrived AS
SELECT *, coalesce(record_key, chr(1) || raw_hash) AS identity
FROM (SELECT *, sha256(record) AS raw_hash FROM incoming_record) AS hashed
QUALIFY row_number() OVER (PARTITION BY dealer_id, entity, identity ORDER BY ordinal DESC) = 1;
-- step
CREATE OR REPLACE TEMP TABLE known_before AS
SELECT sighting.*, coalesce(record_key, chr(1) || raw_hash) AS identity
FROM sighting
WHERE (dealer_id, entity) IN (SELECT DISTINCT dealer_id, entity FROM arrived);
-- step
-- New: not the same content as the newest stored version. A record without a key is known by its content. A reading
-- that had begun when the stored version was read may be the older one, although it is stored later: it brings nothing
-- new, and is outdated (see below).
CREATE OR REPLACE TEMP TABLE arrived_new AS
SELECT arrived.*,
       (SELECT coalesce(max(seq), 0) FROM raw_record) + row_number() OVER (ORDER BY arrived.ordinal) AS seq
FROM arrived
LEFT JOIN known_before AS known
  ON known.dealer_id = arrived.dealer_id
 AND known.entity = arrived.entity
 AND known.identity = arrived.identity
WHERE known.raw_hash IS DISTINCT FROM arrived.raw_hash AND (known.seen_at <= arrived.began_at) IS NOT FALSE;
-- step
INSERT INTO raw_record BY NAME
SELECT seq, dealer_id, entity, record_key, parent_key, record, raw_hash, extract_id, source, fetched_at,
       $run_id AS run_id
FROM arrived_new
ORDER BY seq;
-- step
CREATE OR REPLACE TEMP TABLE seen_now AS
SELECT arrived.dealer_id, arrived.entity, arrived.record_key,
       coalesce(arrived_new.raw_hash, known.raw_hash) AS raw_hash,
       coalesce(arrived_new.seq, known.raw_seq) AS raw_seq,
       arrived.extract_id, greatest(arrived.fetched_at, known.seen_at) AS seen_at, $run_id AS run_id,
       arrived.began_at, arrived.parent_key,
       coalesce(arrived_new.raw_hash, known.raw_hash) <> arrived.raw_hash AS is_outdated
FROM arrived
LEFT JOIN arrived_new
  ON arrived_new.dealer_id = arrived.dealer_id
 AND arrived_new.entity = arrived.entity
 AND arrived_new.ordinal = arrived.ordinal
LEFT JOIN known_before AS known
  ON known.dealer_id = arrived.dealer_id
 AND known.entity = arrived.entity
 AND known.identity = arrived.identity;
-- step keyless
CREATE OR REPLACE TEMP TABLE known_keyless AS
SELECT sighting.dealer_id, sighting.entity, sighting.raw_seq, sighting.extract_id, sighting.seen_at
FROM sighting
WHERE sighting.record_key IS NULL AND sighting.raw_seq NOT IN (SELECT raw_seq FROM seen_now);
-- step
DELETE FROM sighting USING seen_now
WHERE sighting.dealer_id = seen_now.dealer_id
  AND sighting.entity = seen_now.entity
  AND coalesce(sighting.record_key, chr(1) || sighting.raw_hash)
      = coalesce(seen_now.record_key, chr(1) || seen_now.raw_hash);
-- step
INSERT INTO sighting BY NAME SELECT * EXCLUDE (began_at, parent_key, is_outdated) FROM seen_now;
-- step
-- What another run came to know while a reading was under way, and the reading contradicts: which of both is older
-- cannot be told, so what was known stays, and it is to be read again. Of lines that is all of their order.
CREATE OR REPLACE TEMP TABLE outdated AS
SELECT DISTINCT dealer_id, CASE WHEN entity = 'order_line' THEN parent_key ELSE record_key END AS number
FROM seen_now WHERE is_outdated;
-- step keyless
-- Records without a key that a later complete reading no longer brings: of the same list, or of their order's lines.
-- Whatever they have become, nothing tells that it was them: their entries in quarantine can only be closed.
CREATE OR REPLACE TEMP TABLE keyless_gone AS
SELECT before.raw_seq
FROM known_keyless AS before
JOIN extract AS first_read ON first_read.extract_id = before.extract_id
JOIN incoming_extract AS now
  ON now.dealer_id = before.dealer_id AND now.entity = before.entity AND now.source = first_read.source
 AND now.window_from IS NOT DISTINCT FROM first_read.window_from
 AND now.window_to IS NOT DISTINCT FROM first_read.window_to
WHERE before.entity = 'order' AND now.is_complete AND now.started_at >= before.seen_at
UNION
SELECT before.raw_seq
FROM known_keyless AS before
JOIN raw_record ON raw_record.seq = before.raw_seq
JOIN incoming_list AS list ON list.dealer_id = before.dealer_id AND list.record_key = raw_record.parent_key
WHERE before.entity = 'order_line' AND list.began_at >= before.seen_at;
-- step keyless
UPDATE quarantine SET state = 'gone'
WHERE state = 'open' AND dms_number IS NULL AND raw_seq IN (FROM keyless_gone);
-- step keyless
-- Coming back, such a record is new.
DELETE FROM sighting WHERE record_key IS NULL AND raw_seq IN (FROM keyless_gone);
-- step unfound
-- Not found and never staged, its entry in quarantine was closed: it is judged again, although it may be as it was.
INSERT INTO restage
SELECT dealer_id, entity, record_key
FROM seen_now
JOIN nonexistent USING (dealer_id, entity, record_key)
WHERE entity = 'order' AND nonexistent.asked_at <= seen_now.began_at
  AND NOT EXISTS (
      FROM appointment WHERE appointment.dealer_id = seen_now.dealer_id AND dms_number = seen_now.record_key);
-- step unfound
DELETE FROM nonexistent USING seen_now
WHERE nonexistent.dealer_id = seen_now.dealer_id
  AND nonexistent.entity = seen_now.entity
  AND nonexistent.record_key = seen_now.record_key
  AND nonexistent.asked_at <= seen_now.began_at;
-- step unfound
INSERT INTO outdated
SELECT dealer_id, record_key
FROM seen_now
JOIN nonexistent USING (dealer_id, entity, record_key)
WHERE entity <> 'order_line';
-- step not_found
CREATE OR REPLACE TEMP TABLE not_found_now AS
SELECT gone.dealer_id, gone.entity, gone.record_key, max(gone.read_at) AS asked_at,
       coalesce(bool_or(sighting.seen_at > gone.began_at), false) AS is_outdated
FROM incoming_not_found AS gone
LEFT JOIN sighting USING (dealer_id, entity, record_key)
GROUP BY ALL;
-- step not_found
INSERT INTO outdated SELECT dealer_id, record_key FROM not_found_now WHERE is_outdated;
-- step not_found
DELETE FROM nonexistent USING not_found_now AS gone
WHERE nonexistent.dealer_id = gone.dealer_id
  AND nonexistent.entity = gone.entity
  AND nonexistent.record_key = gone.record_key
  AND NOT gone.is_outdated;
-- step not_found
INSERT INTO nonexistent
SELECT dealer_id, entity, record_key, asked_at FROM not_found_now WHERE NOT is_outdated;
-- step lists
-- The lines of each order that was read completely, in the order given; an order without lines has an empty list.
CREATE OR REPLACE TEMP TABLE list_now AS
SELECT list.dealer_id, list.record_key AS order_key,
       coalesce(list(arrived.record_key ORDER BY arrived.ordinal) FILTER (arrived.record_key IS NOT NULL), [])
           AS line_keys,
       any_value(list.extract_id) AS extract_id, max(list.read_at) AS read_at, min(list.began_at) AS began_at
FROM incoming_list AS list
LEFT JOIN arrived
  ON arrived.dealer_id = list.dealer_id
 AND arrived.entity = 'order_line'
 AND arrived.parent_key = list.record_key
GROUP BY list.dealer_id, list.record_key;
-- step lists
INSERT INTO outdated
SELECT dealer_id, order_key
FROM list_now
JOIN line_list AS known USING (dealer_id, order_key)
WHERE known.read_at > list_now.began_at AND known.line_keys <> list_now.line_keys;
-- step lists
DELETE FROM list_now USING line_list AS known
WHERE known.dealer_id = list_now.dealer_id AND known.order_key = list_now.order_key
  AND known.read_at > list_now.began_at;
-- step lists
CREATE OR REPLACE TEMP TABLE list_changed AS
SELECT list_now.dealer_id, list_now.order_key, list_now.line_keys AS new_keys, known.line_keys AS old_keys
FROM list_now
LEFT JOIN line_list AS known USING (dealer_id, order_key)
WHERE known.line_keys IS DISTINCT FROM list_now.line_keys;
-- step lists
-- A line may have another place, or none, although its own record is as it was.
INSERT INTO restage
SELECT DISTINCT dealer_id, 'order_line', line_key
FROM (
    SELECT dealer_id, unnest(list_concat(coalesce(old_keys, []), new_keys)) AS line_key, old_keys IS NOT NULL AS is_known
    FROM list_changed
) AS touched
WHERE is_known
   -- First read in part, now completely: only now its place is known.
   OR NOT EXISTS (
       FROM arrived_new
       WHERE arrived_new.entity = 'order_line' AND arrived_new.dealer_id = touched.dealer_id
         AND arrived_new.record_key = touched.line_key);
-- step lists
INSERT INTO document_dirty SELECT dealer_id, order_key FROM list_changed;
-- step lists
DELETE FROM line_list USING list_now
WHERE line_list.dealer_id = list_now.dealer_id AND line_list.order_key = list_now.order_key;
-- step lists
INSERT INTO line_list BY NAME SELECT * EXCLUDE (began_at) FROM list_now;
-- step absent_orders
-- Seen by a reading that had begun when another run found it missing: it may have been seen before that.
INSERT INTO outdated
SELECT absence.dealer_id, absence.dms_number
FROM absence
JOIN seen_now
  ON seen_now.entity = 'order'
 AND absence.dealer_id = seen_now.dealer_id AND absence.dms_number = seen_now.record_key
WHERE absence.last_missing_at > seen_now.began_at;
-- step absent_orders
-- An order that is seen again: an unconfirmed absence is forgotten, a confirmed one is undone by staging.
DELETE FROM absence USING seen_now
WHERE seen_now.entity = 'order' AND absence.confirmed_at IS NULL
  AND absence.dealer_id = seen_now.dealer_id AND absence.dms_number = seen_now.record_key
  AND absence.last_missing_at <= seen_now.began_at;
-- step absent_orders
INSERT INTO restage
SELECT absence.dealer_id, 'order', absence.dms_number
FROM absence
JOIN seen_now
  ON seen_now.entity = 'order'
 AND absence.dealer_id = seen_now.dealer_id AND absence.dms_number = seen_now.record_key
WHERE absence.returned_at IS NULL AND absence.last_missing_at <= seen_now.began_at;
-- step absent_orders
UPDATE absence SET returned_at = seen_now.seen_at
FROM seen_now
WHERE seen_now.entity = 'order' AND absence.returned_at IS NULL
  AND absence.dealer_id = seen_now.dealer_id AND absence.dms_number = seen_now.record_key
  AND absence.last_missing_at <= seen_now.began_at;

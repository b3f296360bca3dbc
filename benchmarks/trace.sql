-- 1,000,000 appointments with history, straight into the tables; run by trace.py, statement by statement.
CREATE TEMP TABLE n AS SELECT i, 'dealer-' || (i % $dealers) AS dealer_id, (i // $dealers + 50000)::VARCHAR AS number,
    (i // $dealers % $cars + 7000)::VARCHAR AS car, (i // $dealers % $cars + 3000)::VARCHAR AS party,
    TIMESTAMPTZ '2020-01-01 08:00:00+00' + INTERVAL (i) MINUTE AS seen,
    'run-' || (i // 1000) AS run_id, 'extract-' || (i // 500) AS extract_id
FROM range($count) AS r(i);

INSERT INTO raw_record BY NAME
SELECT i * 6 + version + 1 AS seq, dealer_id, 'order' AS entity, number AS record_key, 'order?page=2' AS source,
    concat('{"order_id": ', number, ', "order_number": "2026-', number, '", "order_type": 1,',
        '"order_date": "20261118T140500",',
        '"plan_date_from": "20261125T083000", "plan_date_to": "20261125T170000", "is_invoiced": ', version,
        ', "notes": "Klant wacht ', i, ' op de auto", "milometer": ', 100000 + i, ', "vehicle_id": ', car,
        ', "relation_id": ', party, '}') AS record,
    sha256(record) AS raw_hash, extract_id, seen + INTERVAL (version) DAY AS fetched_at, run_id
FROM n, (SELECT unnest([0, 1]) AS version);
INSERT INTO raw_record BY NAME
SELECT i * 6 + line + 2 AS seq, dealer_id, 'order_line' AS entity, number || line AS record_key, number AS parent_key,
    'order_line?page=12' AS source,
    concat('{"order_line_id": ', number, line, ', "order_id": ', number, ', "line_number": ', line,
        ', "description": "Grote beurt ', i, '", "price_incl_vat": "389.00"}') AS record,
    sha256(record) AS raw_hash, extract_id, seen AS fetched_at, run_id
FROM n, (SELECT unnest([1, 2]) AS line);
INSERT INTO raw_record BY NAME
SELECT i * 6 + CASE part WHEN 'vehicle' THEN 5 ELSE 6 END AS seq, dealer_id, part AS entity, CASE part WHEN 'vehicle' THEN car ELSE party END AS record_key,
    part || '?page=1' AS source,
    CASE part
        WHEN 'vehicle'
        THEN concat('{"vehicle_id": ', car, ', "brand": "Volkswagen", "license_plate": "GH', car, 'J",',
        '"driver_relation_id": ', party, '}')
        ELSE concat('{"relation_id": ', party, ', "last_name": "Berg ', party, '"}') END AS record,
    sha256(record) AS raw_hash, extract_id, seen AS fetched_at, run_id
FROM n, (SELECT unnest(['vehicle', 'relation']) AS part) WHERE i < $cars * $dealers;
INSERT INTO sighting BY NAME
SELECT dealer_id, entity, record_key, max_by(raw_hash, seq) AS raw_hash, max(seq) AS raw_seq,
    max_by(extract_id, seq) AS extract_id, max(fetched_at) AS seen_at, max_by(run_id, seq) AS run_id
FROM raw_record GROUP BY dealer_id, entity, record_key;
INSERT INTO extract BY NAME
SELECT DISTINCT extract_id, dealer_id, 'order' AS entity, 'api:open_orders' AS source, true AS is_complete FROM n;

CREATE TEMP TABLE a AS
SELECT dealer_id, number AS dms_number, '2026-' || number AS wo_number, (seen + INTERVAL 7 DAY)::DATE AS appointment_date,
    seen AS created_at, seen + INTERVAL 7 DAY AS scheduled_in_at, 'Klant wacht ' || i AS dms_notes, false AS is_internal,
    100000 + i AS dms_mileage, false AS is_canceled, car AS car_dms_number, party AS contractor_dms_number, run_id, i, seen
FROM n;
INSERT INTO appointment BY NAME
SELECT * EXCLUDE (i, seen), true AS is_billed, seen + INTERVAL 1 DAY AS observed_at, i * 6 + 2 AS raw_seq FROM a;
INSERT INTO appointment_past BY NAME
SELECT * EXCLUDE (i, seen), false AS is_billed, seen AS valid_from, seen + INTERVAL 1 DAY AS valid_to, i * 6 + 1 AS raw_seq
FROM a;
INSERT INTO intervention BY NAME
SELECT dealer_id, number || line AS dms_number, number AS appointment_dms_number, line AS position,
    'Grote beurt ' || i AS title, 389.00 AS price, seen AS observed_at, i * 6 + line + 2 AS raw_seq, run_id
FROM n, (SELECT unnest([1, 2]) AS line);
INSERT INTO intervention_past BY NAME
SELECT dealer_id, number || '1' AS dms_number, number AS appointment_dms_number, 1 AS position,
    'Kleine beurt ' || i AS title, 289.00 AS price, seen - INTERVAL 1 DAY AS valid_from, seen AS valid_to,
    i * 6 + 3 AS raw_seq, run_id
FROM n;
INSERT INTO car BY NAME
SELECT dealer_id, car AS dms_number, 'Volkswagen' AS make, 'Golf' AS model, 'GH-' || car || '-J' AS registration_number,
    party AS driver_dms_number, party AS owner_dms_number, seen AS observed_at, i * 6 + 5 AS raw_seq, run_id
FROM n WHERE i < $cars * $dealers;
INSERT INTO party BY NAME
SELECT dealer_id, party AS dms_number, 'Berg ' || party AS last_name, 'Dorpsstraat' AS street, seen AS observed_at,
    i * 6 + 6 AS raw_seq, run_id
FROM n WHERE i < $cars * $dealers;
INSERT INTO finding BY NAME
SELECT dealer_id, 'appointment' AS entity, number AS dms_number, 'warn' AS severity, 'mileage_lower' AS rule,
    'dms_mileage' AS field, i::VARCHAR AS before, 'Check it in the DMS.' AS hint, i * 6 + 1 AS raw_seq, run_id,
    seen AS found_at
FROM n;
INSERT INTO line_list BY NAME
SELECT dealer_id, number AS order_key, [number || '1', number || '2'] AS line_keys, extract_id, seen AS read_at FROM n;
INSERT INTO document BY NAME
SELECT dealer_id, number AS dms_number, md5(number) AS document_hash, false AS is_open, true AS is_owed,
    seen::DATE AS appointment_date, seen AS first_seen_at, seen AS changed_at
FROM n;
INSERT INTO delivery BY NAME
SELECT i * 2 + attempt AS delivery_id, dealer_id, number AS dms_number, seen + INTERVAL (attempt) DAY AS attempted_at,
    CASE attempt WHEN 1 THEN 'created' ELSE 'updated' END AS result, 200 + attempt % 2 AS http_status,
    '[{"field": "billed", "old": false, "new": true}]' AS fields_changed, run_id
FROM n, (SELECT unnest([1, 2]) AS attempt);
INSERT INTO staged SELECT unnest(['order', 'order_line', 'vehicle', 'relation']), (SELECT max(seq) FROM raw_record);

-- Deterministic raw records, as the API gives them; every 50th of each kind is dirty in one of several ways.

-- name: raw
CREATE TEMP MACRO dealer(i) AS 'garage-' || (i % 4);
CREATE TEMP MACRO day_of(i) AS DATE '2024-06-01' + (i % 900)::INTEGER;
CREATE TEMP MACRO is_dirty(i) AS i % 50 = 7;

CREATE TEMP TABLE made AS
SELECT 'relation' AS entity, dealer(i) AS dealer_id, (30000 + i)::VARCHAR AS record_key, NULL AS parent_key,
    concat('{"relation_id": ', 30000 + i,
        ', "company_name": ', CASE WHEN is_dirty(i) AND i % 100 = 7 THEN 'null' WHEN i % 5 = 0 THEN '"Lease ' || i || ' BV"' ELSE 'null' END,
        ', "title": "', ['Dhr.', 'Mevr.', ''][1 + i % 3],
        '", "last_name_prefix": ', ['"van den"', 'null', '"de"'][1 + i % 3],
        ', "last_name": ', CASE WHEN is_dirty(i) AND i % 100 = 7 THEN '""' ELSE '"Jansen' || i || '"' END,
        ', "street": "Dorpsstraat', CASE WHEN is_dirty(i) THEN '  ' ELSE '' END,
        '", "house_number": "', i % 300, '", "house_number_addition": ', ['null', '"bis"', 'null', '"A"'][1 + i % 4],
        ', "postcode": "', 1000 + i % 8999, ' ', CASE WHEN is_dirty(i) THEN '4' ELSE 'AB' END,
        '", "city": "', ['Utrecht', 'Zwolle', 'Den Haag', 'Sneek'][1 + i % 4], '"}') AS record
FROM range(getvariable('orders') // 2) AS t(i)
UNION ALL
SELECT 'vehicle', dealer(i), (70000 + i)::VARCHAR, NULL,
    concat('{"vehicle_id": ', 70000 + i, ', "brand": "', ['Volkswagen', 'Opel', 'Kia'][1 + i % 3],
        '", "model": "', ['Golf', 'Corsa', 'Picanto'][1 + i % 3],
        '", "license_plate": "', CASE WHEN is_dirty(i) THEN 'm ab ' || (1000 + i % 9000) ELSE concat(
            chr(65 + (i % 20)::INTEGER), chr(66 + (i // 20 % 20)::INTEGER), lpad((i % 1000)::VARCHAR, 3, '0'),
            chr(67 + (i // 400 % 20)::INTEGER)) END,
        '", "vin": "WVWZZZ1KZ', CASE WHEN is_dirty(i) THEN 'O' ELSE 'A' END, lpad(i::VARCHAR, 7, '0'),
        '", "engine_number": "CAX', i, '", "notes": ', CASE WHEN i % 10 = 0 THEN '"Winterbanden\nin opslag"' ELSE 'null' END,
        ', "driver_relation_id": ', 30000 + i, ', "owner_relation_id": ', CASE WHEN i % 4 = 0 THEN 30000 + i // 4 * 4 ELSE 0 END, '}')
FROM range(getvariable('orders') // 2) AS t(i)
UNION ALL
SELECT 'order', dealer(i), (500000 + i)::VARCHAR, NULL,
    concat('{"order_id": ', 500000 + i, ', "order_number": "', CASE WHEN is_dirty(i) AND i % 150 = 7 THEN '' ELSE '2026-' || i END,
        '", "plan_date_from": "', CASE WHEN is_dirty(i) AND i % 150 = 57 THEN '20261399' ELSE strftime(day_of(i), '%Y-%m-%d') || 'T08:30:00' END,
        '", "plan_date_to": "', strftime(day_of(i), '%Y-%m-%d'), 'T17:00:00", "order_date": "',
        strftime(day_of(i) - (i % 20)::INTEGER, '%Y%m%d'), 'T141500", "is_invoiced": ', i % 3 // 2,
        ', "notes": ', CASE WHEN is_dirty(i) THEN '"  Klant  wacht\u0007"' WHEN i % 4 = 0 THEN '"Klant belt\r\nvoor 12:00"' WHEN i % 4 = 1 THEN '"Graag APK meenemen, auto staat achter"' ELSE 'null' END,
        ', "is_present": ', ['0', '1', 'null'][1 + i % 3], ', "is_internal": ', CASE WHEN i % 20 = 0 THEN 1 ELSE 0 END,
        ', "milometer": ', CASE WHEN is_dirty(i) AND i % 150 = 107 THEN '"onbekend"' ELSE (20000 + i % 900 * 50 + i % 3000)::VARCHAR END,
        ', "is_canceled": ', CASE WHEN i % 40 = 0 THEN 1 ELSE 0 END,
        ', "vehicle_id": ', 70000 + (i // 4 % (getvariable('orders') // 8)) * 4 + i % 4,
        ', "relation_id": ', 30000 + (i // 4 % (getvariable('orders') // 8)) * 4 + i % 4, ', "last_modified": null, "order_type": 1}')
FROM range(getvariable('orders')) AS t(i)
UNION ALL
SELECT 'order_line', dealer(i // 3), (900000 + i)::VARCHAR, (500000 + i // 3)::VARCHAR,
    concat('{"order_line_id": ', 900000 + i, ', "order_id": ', 500000 + i // 3, ', "line_number": ', 1 + i % 3,
        ', "description": "', CASE WHEN is_dirty(i) AND i % 100 = 7 THEN '' ELSE ['Grote beurt', 'APK', 'Banden wisselen', 'Remblokken voor'][1 + i % 4] END,
        CASE WHEN is_dirty(i) AND i % 100 = 57 THEN ' ' ELSE '' END,
        '", "price_incl_vat": ', CASE WHEN is_dirty(i) AND i % 200 = 57 THEN '"n.v.t."' ELSE (10 + i % 400 + (i % 100) / 100)::DECIMAL(12, 2)::VARCHAR END, '}')
FROM range(getvariable('orders') * 3) AS t(i);

INSERT INTO raw_record BY NAME
SELECT row_number() OVER () AS seq, *, md5(record) AS raw_hash, 'extract-1' AS extract_id, entity || '?page=1' AS source,
    TIMESTAMPTZ '2026-11-23 08:00:00+00' AS fetched_at, 'run-0' AS run_id
FROM made ORDER BY seq;
INSERT INTO sighting BY NAME
SELECT dealer_id, entity, record_key, raw_hash, seq AS raw_seq, extract_id, fetched_at AS seen_at, run_id FROM raw_record;
INSERT INTO line_list BY NAME
SELECT dealer_id, parent_key AS order_key, list(record_key ORDER BY seq) AS line_keys, 'extract-1' AS extract_id,
    TIMESTAMPTZ '2026-11-23 08:00:00+00' AS read_at
FROM raw_record WHERE entity = 'order_line' GROUP BY dealer_id, parent_key;

-- name: changed
CREATE TEMP TABLE touched AS
SELECT dealer_id, entity, record_key, replace(record, 'T08:30:00', 'T09:15:00') AS record, source,
    (SELECT max(seq) FROM raw_record) + row_number() OVER () AS seq
FROM raw_record
WHERE entity = 'order' AND record_key::BIGINT % 1000 = 1
LIMIT getvariable('changed');
INSERT INTO raw_record BY NAME
SELECT *, md5(record) AS raw_hash, 'extract-2' AS extract_id, TIMESTAMPTZ '2026-11-23 09:00:00+00' AS fetched_at,
    'run-1' AS run_id
FROM touched;
DELETE FROM sighting USING touched
WHERE sighting.entity = touched.entity AND sighting.dealer_id = touched.dealer_id
  AND sighting.record_key = touched.record_key;
INSERT INTO sighting BY NAME
SELECT dealer_id, entity, record_key, md5(record) AS raw_hash, seq AS raw_seq, 'extract-2' AS extract_id,
    TIMESTAMPTZ '2026-11-23 09:00:00+00' AS seen_at, 'run-1' AS run_id
FROM touched;

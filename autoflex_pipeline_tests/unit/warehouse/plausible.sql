-- A workshop's half year around 2026-11-23, 09:15 UTC: 120 appointments of one dealer, two lines each but for some.
INSERT INTO appointment BY NAME
SELECT
    'garage-jansen' AS dealer_id,
    n::VARCHAR AS dms_number,
    '2026-' || n AS wo_number,
    DATE '2026-06-15' + (n * 1.5)::INTEGER AS appointment_date,
    (DATE '2026-06-15' + (n * 1.5)::INTEGER - (n % 12)::INTEGER)::TIMESTAMPTZ AS created_at,
    (DATE '2026-06-15' + (n * 1.5)::INTEGER)::TIMESTAMPTZ + INTERVAL 8 HOUR AS scheduled_in_at,
    n < 100 AND n % 10 > 1 AS is_billed,
    CASE WHEN n % 10 = 1 THEN false WHEN n % 3 = 0 THEN true END AS car_in_shop,
    n % 25 = 0 AS is_internal,
    50000 + n * 40 AS dms_mileage,
    n % 10 = 0 AS is_canceled,
    (n % 20)::VARCHAR AS car_dms_number,
    (n % 15)::VARCHAR AS contractor_dms_number,
    TIMESTAMPTZ '2026-11-20 10:00:00+00' AS observed_at,
    n AS raw_seq,
    'run-1' AS run_id
FROM range(1, 121) AS numbers(n);

INSERT INTO appointment_past BY NAME
SELECT
    * EXCLUDE (observed_at) REPLACE (appointment_date + 1 AS appointment_date),
    TIMESTAMPTZ '2026-11-01 10:00:00+00' AS valid_from,
    observed_at AS valid_to
FROM appointment
WHERE dms_number::INTEGER % 4 = 0;

INSERT INTO intervention BY NAME
SELECT
    dealer_id,
    dms_number || '-' || position AS dms_number,
    dms_number AS appointment_dms_number,
    position,
    if(position = 1, 'Grote beurt', 'APK') AS title,
    if(position = 1, 389.00, 49.50) AS price,
    observed_at,
    1000 + raw_seq AS raw_seq,
    run_id
FROM appointment, range(1, 3) AS positions(position)
WHERE dms_number::INTEGER % 17 > 0;

INSERT INTO car BY NAME
SELECT
    'garage-jansen' AS dealer_id, n::VARCHAR AS dms_number, 'Volkswagen' AS make, 'GH-' || 100 + n || '-J' AS registration_number,
    (n % 15)::VARCHAR AS driver_dms_number, TIMESTAMPTZ '2026-11-20 10:00:00+00' AS observed_at
FROM range(20) AS numbers(n);

INSERT INTO party BY NAME
SELECT
    'garage-jansen' AS dealer_id, n::VARCHAR AS dms_number, 'van den Berg' AS last_name, '3511 AB' AS postcode,
    TIMESTAMPTZ '2026-11-20 10:00:00+00' AS observed_at
FROM range(15) AS numbers(n);

INSERT INTO raw_record BY NAME
SELECT
    n AS seq, 'garage-jansen' AS dealer_id, 'order_line' AS entity, 'hash-' || n AS raw_hash, 'extract-1' AS extract_id,
    'order_line?page=' || n // 100 AS source
FROM range(1, 1200) AS numbers(n);

INSERT INTO extract BY NAME
SELECT
    'extract-1' AS extract_id, 'garage-jansen' AS dealer_id, 'api:open_orders' AS source, true AS is_complete, 120 AS rows,
    TIMESTAMPTZ '2026-11-20 09:58:00+00' AS started_at, TIMESTAMPTZ '2026-11-20 09:59:00+00' AS finished_at;

INSERT INTO delivery BY NAME
SELECT
    n AS delivery_id, 'garage-jansen' AS dealer_id, n::VARCHAR AS dms_number,
    TIMESTAMPTZ '2026-11-20 10:00:20+00' AS attempted_at, if(n % 4 = 0, 'updated', 'created') AS result, 200 AS http_status,
    if(n % 4 = 0, '[{"field": "interventions[' || n || '-1].price", "old": "379.00", "new": "389.00"}]', '[]') AS fields_changed
FROM range(1, 121) AS numbers(n);

INSERT INTO quarantine BY NAME
SELECT
    'garage-jansen' AS dealer_id, 'intervention' AS entity, n::VARCHAR AS dms_number, 'title_empty' AS rule, 'title' AS field,
    'give the line a description' AS hint, TIMESTAMPTZ '2026-11-19 08:00:00+00' AS first_seen_at, 'open' AS state
FROM range(900, 903) AS numbers(n);

-- The appointments of one dealer whose document differs from what Claire acknowledged (or has an intent of which is not
-- known whether Claire took it, or is asked for), with what the policies need to know.
SELECT
    d.dms_number, d.document_hash, d.appointment_date, d.first_seen_at, d.is_open,
    a.is_canceled,
    gone.dms_number IS NOT NULL AND gone.confirmed_at IS NULL AS is_missing,
    gone.confirmed_at IS NOT NULL AS is_gone,
    lines.order_key IS NOT NULL AS has_lines,
    a.car_dms_number IS NULL
        OR EXISTS (FROM car c WHERE c.dealer_id = $dealer AND c.dms_number = a.car_dms_number)
        OR EXISTS (
            FROM quarantine q
            WHERE q.dealer_id = $dealer AND q.entity = 'car' AND q.state = 'open' AND q.dms_number = a.car_dms_number
        )
        OR EXISTS (
            FROM nonexistent n
            WHERE n.dealer_id = $dealer AND n.entity = 'vehicle' AND n.record_key = a.car_dms_number
        ) AS has_car,
    a.contractor_dms_number IS NULL
        OR EXISTS (FROM party p WHERE p.dealer_id = $dealer AND p.dms_number = a.contractor_dms_number)
        OR EXISTS (
            FROM quarantine q
            WHERE q.dealer_id = $dealer AND q.entity = 'party' AND q.state = 'open'
                AND q.dms_number = a.contractor_dms_number
        )
        OR EXISTS (
            FROM nonexistent n
            WHERE n.dealer_id = $dealer AND n.entity = 'relation' AND n.record_key = a.contractor_dms_number
        ) AS has_contractor,
    k.dms_number IS NOT NULL AS is_acknowledged,
    k.is_canceled AS was_canceled,
    k.appointment_date AS was_dated,
    u.dms_number IS NOT NULL AS is_unanswered
FROM document d
JOIN appointment a ON a.dealer_id = d.dealer_id AND a.dms_number = d.dms_number
LEFT JOIN acknowledged k
    ON k.dealer_id = d.dealer_id AND k.location_id = $location AND k.dms_number = d.dms_number
LEFT JOIN (SELECT unnest($unanswered::VARCHAR[]) AS dms_number) u ON u.dms_number = d.dms_number
LEFT JOIN absence gone ON gone.dealer_id = d.dealer_id AND gone.dms_number = d.dms_number
LEFT JOIN line_list lines ON lines.dealer_id = d.dealer_id AND lines.order_key = d.dms_number
WHERE d.dealer_id = $dealer
    AND (d.is_owed OR k.dms_number IS NOT NULL OR u.dms_number IS NOT NULL OR $force OR $history)
    AND ($numbers IS NULL OR list_contains($numbers::VARCHAR[], d.dms_number))
    AND ($from IS NULL OR d.appointment_date BETWEEN $from AND $to)
    AND (k.document_hash IS DISTINCT FROM d.document_hash OR u.dms_number IS NOT NULL OR $force)
-- Today's first: after an outage the reception desk waits for them; then the days to come, then the past, newest first.
ORDER BY d.appointment_date < $today, abs(d.appointment_date - $today::DATE), d.dms_number

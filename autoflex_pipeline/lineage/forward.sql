-- The appointments that a raw record ($seq) reached: those that held a version made from it, and since when until when.
-- Run on the copy in memory, whose …_history views hold every version.

-- name: reached_by_appointment
SELECT dms_number, any_value(wo_number) AS wo_number, min(valid_from) AS since,
    nullif(max(coalesce(valid_to, 'infinity')), 'infinity') AS until
FROM appointment_history
WHERE raw_seq = $seq
GROUP BY dms_number;

-- name: reached_by_intervention
SELECT dms_number, any_value(wo_number) AS wo_number, min(since) AS since, nullif(max(until), 'infinity') AS until
FROM (
    SELECT a.dms_number, a.wo_number, greatest(i.valid_from, a.valid_from) AS since,
        least(coalesce(i.valid_to, 'infinity'), coalesce(a.valid_to, 'infinity')) AS until
    FROM intervention_history i
    JOIN appointment_history a ON a.dms_number = i.appointment_dms_number
    WHERE i.raw_seq = $seq
) AS held
WHERE since < until
GROUP BY dms_number
ORDER BY since, dms_number;

-- name: reached_by_car
SELECT dms_number, any_value(wo_number) AS wo_number, min(since) AS since, nullif(max(until), 'infinity') AS until
FROM (
    SELECT a.dms_number, a.wo_number, greatest(c.valid_from, a.valid_from) AS since,
        least(coalesce(c.valid_to, 'infinity'), coalesce(a.valid_to, 'infinity')) AS until
    FROM car_history c
    JOIN appointment_history a ON a.car_dms_number = c.dms_number
    WHERE c.raw_seq = $seq
) AS held
WHERE since < until
GROUP BY dms_number
ORDER BY since, dms_number;

-- name: reached_by_party
SELECT dms_number, any_value(wo_number) AS wo_number, min(since) AS since, nullif(max(until), 'infinity') AS until
FROM (
    SELECT a.dms_number, a.wo_number, greatest(p.valid_from, a.valid_from) AS since,
        least(coalesce(p.valid_to, 'infinity'), coalesce(a.valid_to, 'infinity')) AS until
    FROM party_history p
    JOIN appointment_history a ON a.contractor_dms_number = p.dms_number
    WHERE p.raw_seq = $seq
    UNION ALL
    SELECT a.dms_number, a.wo_number, greatest(p.valid_from, c.valid_from, a.valid_from) AS since,
        least(coalesce(p.valid_to, 'infinity'), coalesce(c.valid_to, 'infinity'), coalesce(a.valid_to, 'infinity'))
            AS until
    FROM party_history p
    JOIN car_history c ON c.driver_dms_number = p.dms_number OR c.owner_dms_number = p.dms_number
    JOIN appointment_history a ON a.car_dms_number = c.dms_number
    WHERE p.raw_seq = $seq
) AS held
WHERE since < until
GROUP BY dms_number
ORDER BY since, dms_number;

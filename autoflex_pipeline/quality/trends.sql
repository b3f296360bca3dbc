-- What trends.py asks the warehouse; days are those of UTC, because dealers may lie in several zones.

-- name: arrivals
-- By the day on which they were made in the DMS, so that a first import is no peak.
SELECT created_at::DATE AS day, 'new', count(*)
FROM appointment
WHERE created_at >= $from AND created_at <= $now
GROUP BY day;

-- name: rejections
SELECT first_seen_at::DATE AS day, rule, count(*)
FROM quarantine
WHERE first_seen_at BETWEEN $from AND $now
GROUP BY day, rule
ORDER BY count(*) DESC, rule;
